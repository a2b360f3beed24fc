/**
 * The manifests are of a form that a cluster accepts, and what one part of them names another has. The
 * fields are those that were checked against the types of Kubernetes 1.30.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  type Anything,
  containerOf,
  find,
  kustomization,
  type Manifest,
  manifests,
  mebibytes,
  ofKind,
  root,
  settingsOf,
  workloads,
} from '../support/kubernetes.ts'

const versions: Record<string, string> = {
  Deployment: 'apps/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2',
  Ingress: 'networking.k8s.io/v1',
  Namespace: 'v1',
  NetworkPolicy: 'networking.k8s.io/v1',
  PodDisruptionBudget: 'policy/v1',
  Service: 'v1',
  StatefulSet: 'apps/v1',
}

const fields = new Set(
  `accessModes allowPrivilegeEscalation apiVersion args automountServiceAccountToken averageUtilization
  backend capabilities clusterIP command configMap containerPort containers cpu drop egress emptyDir
  enableServiceLinks env exec failureThreshold from fsGroup http httpGet image ingress ingressClassName
  key kind labelSelector labels lifecycle limits livenessProbe matchExpressions matchLabels maxReplicas
  maxSkew maxSurge maxUnavailable memory metadata metrics minReplicas mountPath name namespaceSelector
  operator path pathType paths periodSeconds podSelector policyTypes port ports preStop protocol readOnly
  readOnlyRootFilesystem readinessProbe replicas requests resource resources rollingUpdate rules
  runAsGroup runAsNonRoot runAsUser scaleTargetRef seccompProfile secretKeyRef securityContext selector
  service serviceName spec startupProbe storage strategy target targetPort tcpSocket template
  terminationGracePeriodSeconds timeoutSeconds to topologyKey topologySpreadConstraints type value
  valueFrom values volumeClaimTemplates volumeMounts volumes whenUnsatisfiable`.split(/\s+/),
)

/** Every field in it, wherever it is; labels have names of their own. */
function fieldsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => {
    if (Array.isArray(value)) return fieldsIn(inner)
    return name.includes('/') ? [] : [name, ...fieldsIn(inner)]
  })
}

const podOf = (workload: Manifest): Anything => workload.spec.template.spec
const portsOf = (workload: Manifest): Record<string, number> =>
  Object.fromEntries(
    containerOf(workload).ports.map(({ name, containerPort }: Anything) => [name, containerPort]),
  )
const deployments = ofKind('Deployment')
const stores = ofKind('StatefulSet')
const standIns = deployments.filter((each) => settingsOf(each).compartments === undefined)
const compartments = deployments.filter((each) => !standIns.includes(each))
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8')

describe('the form', () => {
  it('is that of the version that each manifest says', () => {
    const said = manifests.map((each) => [each.kind, (each as Anything).apiVersion])

    expect(said).toEqual(said.map(([kind]) => [kind, versions[kind]]))
    expect([...new Set(said.map(([kind]) => kind))].sort()).toEqual(Object.keys(versions))
  })

  it.each(manifests)(
    'of $kind $metadata.name has no field that a cluster does not know',
    (each) => {
      const { file, ...manifest } = each

      expect(fieldsIn(manifest).filter((name) => !fields.has(name))).toEqual([])
    },
  )

  it('is for one namespace, which refuses pods that may do more', () => {
    const [namespace, ...others] = ofKind('Namespace')

    expect(others).toEqual([])
    expect(namespace?.metadata.name).toBe(kustomization.namespace)
    expect(namespace?.metadata.labels).toEqual({
      'pod-security.kubernetes.io/enforce': 'restricted',
    })
  })

  it('is for the image that the Dockerfile and the docs build, of this version', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string }
    const [image] = kustomization.images as Anything
    const tag = `--tag ${image.newName}:${image.newTag} `

    expect(image.newTag).toBe(version)
    for (const file of ['deploy/Dockerfile', 'docs/compartments.md']) {
      expect(read(file)).toContain(tag)
    }
  })
})

describe('the probes', () => {
  it.each(workloads)(
    'of $metadata.name ask something that is there, and can be answered',
    (each) => {
      const container = containerOf(each)

      for (const name of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        const { httpGet, tcpSocket, exec, ...times } = container[name]
        if (exec === undefined) expect(portsOf(each)).toHaveProperty((httpGet ?? tcpSocket).port)
        expect(Object.keys(times)).toContain('periodSeconds')
        expect(times.timeoutSeconds ?? 1).toBeLessThanOrEqual(times.periodSeconds)
      }
    },
  )

  it.each(workloads)('of $metadata.name move work away long before they end anything', (each) => {
    const patience = (name: string): number => {
      const { periodSeconds, failureThreshold = 3 } = containerOf(each)[name]
      return periodSeconds * failureThreshold
    }

    expect(patience('livenessProbe')).toBeGreaterThanOrEqual(2 * patience('readinessProbe'))
    expect(patience('livenessProbe')).toBeGreaterThanOrEqual(30)
    expect(patience('startupProbe')).toBeGreaterThanOrEqual(30)
  })

  it.each(deployments)('of $metadata.name ask the one thing each', (each) => {
    const { startupProbe, livenessProbe, readinessProbe } = containerOf(each)

    expect(
      [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path),
    ).toEqual(['/livez', '/livez', '/readyz'])
  })

  it.each(stores)('of $metadata.name restart none that is at its log', (each) => {
    const { startupProbe, livenessProbe, readinessProbe } = containerOf(each)
    const asked =
      each.metadata.name === 'database'
        ? ['pg_isready', '--host=127.0.0.1', '--username=shop']
        : ['redis-cli', '-e', 'ping']

    expect(Object.keys(livenessProbe)).toContain('tcpSocket')
    for (const probe of [startupProbe, readinessProbe]) expect(probe.exec.command).toEqual(asked)
  })
})

describe('what one names, another has', () => {
  it.each(workloads)('the service of $metadata.name leads to a port of its pods', (each) => {
    const { ports } = find('Service', each.metadata.name).spec

    for (const { name, targetPort } of ports) {
      expect(targetPort).toBe(name)
      expect(portsOf(each)).toHaveProperty(targetPort)
    }
  })

  it('the ingress leads to ports of services, by prefix', () => {
    const { rules, ingressClassName } = find('Ingress', 'shop').spec
    for (const { backend, pathType } of rules[0].http.paths) {
      const { ports } = find('Service', backend.service.name).spec
      expect(ports.map(({ name }: Anything) => name)).toContain(backend.service.port.name)
      expect(pathType).toBe('Prefix')
    }
    const [door] = find('NetworkPolicy', 'customers-to-compartments').spec.ingress
    expect(Object.values(door.from[0].namespaceSelector.matchLabels)).toEqual([
      `ingress-${ingressClassName}`,
    ])
    for (const each of compartments) expect(door.ports).toEqual([{ port: portsOf(each)['http'] }])
  })

  it('the database is where the docs say, with the secret that they make', () => {
    const docs = read('docs/compartments.md')
    const [, name, keys = ''] = /secret generic (\S+) \\\n(.+)/.exec(docs) ?? []
    const made = [...keys.matchAll(/--from-literal=(\w+)=(\S+)/g)].map(([, key]) => key)
    const url = new URL(/--from-literal=url=(\S+)/.exec(keys)?.[1] ?? '')
    const database = find('StatefulSet', 'database')
    const used = [database, ...compartments].map(
      (each) => containerOf(each).env.find(({ valueFrom }: Anything) => valueFrom)?.valueFrom,
    )
    const given = containerOf(database).env.map(({ name: one, value }: Anything) => [one, value])

    for (const { secretKeyRef } of used) {
      expect(secretKeyRef.name).toBe(name)
      expect(made).toContain(secretKeyRef.key)
    }
    expect(url.hostname).toBe(find('Service', 'database').metadata.name)
    expect(given).toEqual([
      ['POSTGRES_USER', url.username],
      ['POSTGRES_DB', url.pathname.slice(1)],
      ['POSTGRES_PASSWORD', undefined],
    ])
    expect(portsOf(database)).toEqual({ postgres: Number(url.port || 5432) })
    expect(portsOf(find('StatefulSet', 'queue'))).toEqual({ redis: 6379 })
  })

  it('the stores write where something stays, and answer where they are asked', () => {
    const mountsOf = (name: string): Record<string, string> =>
      Object.fromEntries(
        containerOf(find('StatefulSet', name)).volumeMounts.map((each: Anything) => [
          each.name,
          each.mountPath,
        ]),
      )
    const [program, ...args] = containerOf(find('StatefulSet', 'queue')).args
    const portAt = (name: string) => find('Service', name).spec.ports[0].port

    // Everything else of the image's file system is read-only.
    expect(mountsOf('database')).toEqual({
      data: '/var/lib/postgresql',
      run: '/var/run/postgresql',
      tmp: '/tmp',
    })
    expect(program).toBe('redis-server')
    const settings = args.flatMap((name: string, at: number) =>
      at % 2 === 0 ? [[name, args[at + 1]]] : [],
    )
    expect(Object.fromEntries(settings)).toEqual({
      '--dir': mountsOf('queue')['data'],
      '--appendonly': 'yes',
      '--appendfsync': 'always',
      '--maxmemory': expect.any(String),
      '--maxmemory-policy': 'noeviction',
    })
    expect([portAt('database'), portAt('queue')]).toEqual([5432, 6379])
  })

  it.each(workloads)('the volumes of $metadata.name are mounted, and there', (each) => {
    const claims = each.spec.volumeClaimTemplates ?? []
    const there = [...(podOf(each).volumes ?? []).map((one: Anything) => one.name)]
    for (const { metadata } of claims) there.push(metadata.name)

    expect(
      containerOf(each)
        .volumeMounts.map(({ name }: Anything) => name)
        .sort(),
    ).toEqual(there.sort())
  })
})

describe('the pods', () => {
  it.each(workloads)('of $metadata.name run as the user of their image', (each) => {
    const { runAsUser, runAsGroup, fsGroup } = podOf(each).securityContext

    // `node` of the official image; `postgres` and `redis` of theirs, who own what they store.
    const user = each.kind === 'Deployment' ? 1000 : 999
    expect([runAsUser, runAsGroup]).toEqual([user, user])
    expect(fsGroup).toBe(each.kind === 'Deployment' ? undefined : user)
    expect(podOf(each).enableServiceLinks).toBe(false)
  })

  it.each([...standIns, ...stores])('of $metadata.name are one: it keeps the books', (each) => {
    expect(each.spec.replicas).toBe(1)
    if (each.kind === 'Deployment') expect(each.spec.strategy).toEqual({ type: 'Recreate' })
    else expect(each.spec.serviceName).toBe(each.metadata.name)
  })

  it.each(standIns)('of $metadata.name have a heap that fits', (each) => {
    const { env, resources } = containerOf(each)
    const heap = /^--max-old-space-size=(\d+)$/.exec(
      env.find(({ name }: Anything) => name === 'NODE_OPTIONS')?.value,
    )?.[1]

    expect(Number(heap) + 96).toBeLessThanOrEqual(mebibytes(resources.limits.memory))
  })

  it.each(compartments)('of $metadata.name are spread over nodes', (each) => {
    expect(podOf(each).topologySpreadConstraints).toEqual([
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: each.spec.selector.matchLabels },
      },
    ])
    expect(containerOf(each).lifecycle.preStop.exec.command[0]).toBe('sleep')
  })

  it('of all compartments serve the protected shop, from one schema, at its own pace', () => {
    const settings = compartments.map((each) => {
      const { shop, schema, pace } = settingsOf(each) as Anything
      return { shop, schema, pace }
    })

    expect(settings).toEqual(
      compartments.map(() => ({ shop: 'protected', schema: 'shop', pace: 1 })),
    )
  })

  it.each(ofKind('HorizontalPodAutoscaler'))('of $metadata.name are scaled by name', (each) => {
    const { scaleTargetRef, minReplicas, maxReplicas } = each.spec
    const { kind, name, apiVersion } = scaleTargetRef

    expect([kind, name, apiVersion]).toEqual(['Deployment', each.metadata.name, versions[kind]])
    expect(maxReplicas).toBeGreaterThan(minReplicas)
    expect(each.spec.metrics).toEqual([
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } },
      },
    ])
  })
})

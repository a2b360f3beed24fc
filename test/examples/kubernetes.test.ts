/** The manifests hold together, and match the programs and the settings that they claim to run. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import {
  type Anything,
  allowed,
  containerOf,
  cpus,
  files,
  find,
  kustomization,
  type Manifest,
  manifests,
  mebibytes,
  mostPods,
  ofKind,
  packagesOf,
  root,
  settingsOf,
  workloads,
} from '../support/kubernetes.ts'

const nameOf = ({ metadata }: Manifest): string => metadata.name
const deployments = ofKind('Deployment')
const compartments = deployments.filter(
  ({ metadata }) => metadata.labels?.['app.kubernetes.io/component'] === 'compartment',
)

describe('the manifests', () => {
  it('are all in the kustomization, and once', () => {
    const settings = kustomization.configMapGenerator.flatMap((map) => map.files)
    const known = [
      'kustomization.yaml',
      ...kustomization.resources,
      ...settings.map((file) => file.split('=')[1] ?? ''),
    ]

    expect(known.sort()).toEqual(files)
    const ids = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
  })

  it('give each compartment and each service of the shop a deployment of its own', async () => {
    const { routes } = await import(new URL('examples/shop/front/routes.js', root).href)
    const { services } = await import(new URL('examples/shop/services/trades.js', root).href)

    expect(compartments.map(nameOf).sort()).toEqual(Object.keys(routes).sort())
    expect(compartments.map((each) => settingsOf(each).compartments)).toEqual(
      compartments.map((each) => [nameOf(each)]),
    )
    const others = deployments.filter((each) => !compartments.includes(each))
    expect(others.map((each) => settingsOf(each).name).sort()).toEqual(Object.keys(services).sort())
    expect(others.map((each) => settingsOf(each).name)).toEqual(others.map(nameOf))
  })

  it.each(workloads)('select the pods that $metadata.name makes, and no others', (workload) => {
    const name = nameOf(workload)
    const { labels } = workload.spec.template.metadata
    const selectors = [
      workload.spec.selector.matchLabels,
      find('Service', name).spec.selector,
      ...ofKind('PodDisruptionBudget')
        .filter((each) => nameOf(each) === name)
        .map(({ spec }) => spec.selector.matchLabels),
    ]

    for (const selector of selectors) {
      expect(labels).toMatchObject(selector)
      expect(selector['app.kubernetes.io/name']).toBe(name)
    }
    expect(labels).toEqual(workload.metadata.labels)
  })

  it('lead every path of the ingress to the compartment that serves it', async () => {
    const { routes } = await import(new URL('examples/shop/front/routes.js', root).href)
    const [rule] = find('Ingress', 'shop').spec.rules
    const led = rule.http.paths.map(({ path, backend }: { path: string; backend: Anything }) => [
      backend.service.name,
      path,
    ])

    expect(Object.fromEntries(led)).toEqual(
      Object.fromEntries(
        Object.entries<{ path: string }>(routes).map(([name, { path }]) => [
          name,
          path.replace(/\/$/, ''),
        ]),
      ),
    )
  })
})

describe('ports and names', () => {
  it.each(deployments)('of $metadata.name are those of its settings', (deployment) => {
    const settings = settingsOf(deployment)
    const { ports } = containerOf(deployment)
    const port = (name: string) =>
      ports.find((each: { name: string }) => each.name === name)?.containerPort

    expect(port('http')).toBe(settings.port)
    expect(port('control')).toBe(settings.controlPort)
    // A container listens for others than itself.
    expect(settings.host).toBe('0.0.0.0')
  })

  it.each(compartments)('that $metadata.name calls exist', (compartment) => {
    for (const [name, url] of Object.entries(settingsOf(compartment).urls ?? {})) {
      const { hostname, port, pathname } = new URL(url)
      const service = find('Service', hostname)
      const listening = service.spec.ports.find(
        (each: Anything) => each.port === Number(port || 80),
      )
      const { ports } = containerOf(find('Deployment', hostname))

      expect(hostname).toBe(name)
      expect(pathname).toBe('/')
      expect(ports.map((each: { name: string }) => each.name)).toContain(listening.targetPort)
    }
  })

  it('run a program that exists', () => {
    for (const deployment of deployments) {
      const [file] = containerOf(deployment).args
      expect(existsSync(fileURLToPath(new URL(file, root)))).toBe(true)
    }
    const images = deployments.map((each) => containerOf(each).image)
    expect(new Set(images)).toEqual(new Set(kustomization.images.map(({ name }) => name)))
  })
})

describe('what is shared suffices for all', () => {
  it('connections, with every autoscaler at its most in the middle of a rollout', async () => {
    const { usualLimits } = await import(new URL('examples/shop/front/pipelines.js', root).href)
    const most = Number(
      /max_connections=(\d+)/.exec(containerOf(find('StatefulSet', 'database')).args)?.[1],
    )
    const needed = compartments.map((each) => {
      const { connections } = { ...usualLimits, ...settingsOf(each).limits }
      return mostPods(each) * connections
    })

    // Three are reserved for the administrator, and ten are left for people.
    expect(needed.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(most - 3 - 10)
    expect(needed.every((each) => each > 0)).toBe(true)
  })

  it.each(compartments)(
    'memory of $metadata.name, for its heap and those of its threads',
    async (compartment) => {
      const { usualLimits } = await import(new URL('examples/shop/front/pipelines.js', root).href)
      const { resources, env } = containerOf(compartment)
      const { threads, threadMemoryMb } = { ...usualLimits, ...settingsOf(compartment).limits }
      const options = env.find(({ name }: { name: string }) => name === 'NODE_OPTIONS').value
      const heap = Number(/^--max-old-space-size=(\d+)$/.exec(options)?.[1])
      const own = settingsOf(compartment).compartments?.includes('invoices')
        ? threads * threadMemoryMb
        : 0

      // Beside the heaps: the program, its buffers, its stacks.
      expect(heap + own + 96).toBeLessThanOrEqual(mebibytes(resources.limits.memory))
    },
  )

  it('memory of the queue, so that it refuses before it is killed', () => {
    const { args, resources } = containerOf(find('StatefulSet', 'queue'))
    const most = Number(/--maxmemory,(\d+)mb/.exec(args)?.[1])

    // Its rewrites work on a copy, of which it pays for what changes meanwhile.
    expect(2 * most + 96).toBeLessThanOrEqual(mebibytes(resources.limits.memory))
    expect(containerOf(find('Deployment', 'orders')).env).toContainEqual({
      name: 'REDIS_URL',
      value: `redis://${nameOf(find('Service', 'queue'))}`,
    })
  })

  it('CPUs of the invoices, for each thread and the event loop', async () => {
    const invoices = find('Deployment', 'invoices')
    const threads = settingsOf(invoices).limits?.['threads'] ?? 0

    expect(cpus(containerOf(invoices).resources.limits.cpu)).toBeGreaterThan(threads)
  })
})

describe('every pod', () => {
  it.each(workloads)('of $metadata.name may do little', (workload) => {
    const pod = workload.spec.template.spec
    const container = containerOf(workload)

    expect(pod.automountServiceAccountToken).toBe(false)
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(pod.securityContext.runAsUser).toBeGreaterThan(0)
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  })

  it.each(workloads)(
    'of $metadata.name says what it needs, and gets no more than it may',
    (workload) => {
      const { requests, limits } = containerOf(workload).resources

      expect(cpus(requests.cpu)).toBeGreaterThan(0)
      expect(cpus(requests.cpu)).toBeLessThanOrEqual(cpus(limits.cpu))
      expect(mebibytes(requests.memory)).toBeGreaterThan(0)
      expect(mebibytes(requests.memory)).toBeLessThanOrEqual(mebibytes(limits.memory))
    },
  )

  it.each(compartments)('of $metadata.name has time to finish what it has begun', (compartment) => {
    const { terminationGracePeriodSeconds, ...pod } = compartment.spec.template.spec
    const [, pause] = pod.containers[0].lifecycle.preStop.exec.command

    // The front end itself gives its last customers ten seconds.
    expect(terminationGracePeriodSeconds).toBeGreaterThan(Number(pause) + 10)
  })
})

describe('compartments', () => {
  it.each(compartments)('$metadata.name survives the loss of a node', (compartment) => {
    const name = nameOf(compartment)
    const scaler = ofKind('HorizontalPodAutoscaler').find((each) => nameOf(each) === name)

    expect(scaler?.spec.minReplicas ?? compartment.spec.replicas).toBeGreaterThanOrEqual(2)
    expect(find('PodDisruptionBudget', name).spec.maxUnavailable).toBe(1)
    // Where an autoscaler decides, the manifest must not.
    expect(compartment.spec.replicas === undefined).toBe(scaler !== undefined)
    expect(compartment.spec.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 })
  })

  it('reach, over the network, exactly what their settings name', () => {
    const needed = compartments.flatMap((each) => {
      const given = containerOf(each).env.map(({ name }: Anything) => name)
      const services = Object.values(settingsOf(each).urls ?? {}).map(
        (url) => new URL(url).hostname,
      )
      return [
        ...services.map(
          (to) => `${nameOf(each)} to ${to}:${settingsOf(find('Deployment', to)).port}`,
        ),
        ...(given.includes('REDIS_URL') ? [`${nameOf(each)} to queue:6379`] : []),
        ...(given.includes('DATABASE_URL') ? [`${nameOf(each)} to database:5432`] : []),
      ]
    })

    expect(allowed('Egress')).toEqual([...needed].sort())
    expect(allowed('Ingress')).toEqual([...needed].sort())
    expect(find('NetworkPolicy', 'nobody-to-nobody').spec).toEqual({
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
    })
  })
})

describe('the Dockerfile', () => {
  const text = readFileSync(new URL('deploy/Dockerfile', root), 'utf8')
  const { devDependencies } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    devDependencies: Record<string, string>
  }

  it('copies what exists', () => {
    const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names]) =>
      (names ?? '').split(' '),
    )

    expect(copied.length).toBeGreaterThan(4)
    expect(copied.filter((name) => !existsSync(new URL(name, root)))).toEqual([])
  })

  it('brings every package that the programs import, at the version that is tested', () => {
    const [, list] = /npm install --prefix \/clients .*?((?: [a-z@/-]+@[\d.]+)+)$/m.exec(text) ?? []
    const brought = Object.fromEntries(
      (list ?? '')
        .trim()
        .split(' ')
        .map((each) => each.split(/(?<=.)@/)),
    )

    for (const [name, version] of Object.entries(brought))
      expect(version).toBe(devDependencies[name])
    // On the image's Node, SQLite is built in.
    const imported = [...packagesOf(deployments)].filter((name) => !name.endsWith('/sqlite'))
    expect(Object.keys(brought).sort()).toEqual(imported.sort())
    expect(text).toContain('FROM node:22-slim')
  })
})

/** The manifests of the shop, as a cluster would be given them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

// biome-ignore lint/suspicious/noExplicitAny: what is in it depends on the kind; the tests say what
export type Anything = any

export const root: URL = new URL('../../', import.meta.url)
const folder: string = fileURLToPath(new URL('deploy/kubernetes/', root))

export interface Manifest {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly spec: Anything
  readonly file: string
}

interface Kustomization {
  readonly namespace: string
  readonly resources: readonly string[]
  readonly configMapGenerator: readonly { readonly name: string; readonly files: string[] }[]
  readonly images: readonly { readonly name: string }[]
}

/** Parses strictly: a key that comes twice, or anything that is no YAML, throws. */
function parse(file: string): unknown[] {
  return parseAllDocuments(readFileSync(join(folder, file), 'utf8'), { merge: false }).map(
    (document) => {
      for (const problem of [...document.errors, ...document.warnings]) throw problem
      return document.toJS() as unknown
    },
  )
}

export const kustomization: Kustomization = parse('kustomization.yaml')[0] as Kustomization

export const manifests: readonly Manifest[] = kustomization.resources.flatMap((file) =>
  (parse(file) as Omit<Manifest, 'file'>[]).map((manifest) => ({ ...manifest, file })),
)

/** Every file there is, whether or not the kustomization knows of it. */
export const files: readonly string[] = readdirSync(folder, { recursive: true })
  .map(String)
  .filter((file) => /\.(?:ya?ml|json)$/.test(file))
  .sort()

export function ofKind(kind: string): Manifest[] {
  return manifests.filter((manifest) => manifest.kind === kind)
}

export function find(kind: string, name: string): Manifest {
  const found = ofKind(kind).find(({ metadata }) => metadata.name === name)
  if (!found) throw new Error(`there is no ${kind} "${name}"`)
  return found
}

/** What starts pods. */
export const workloads: readonly Manifest[] = [...ofKind('Deployment'), ...ofKind('StatefulSet')]

export function containerOf(workload: Manifest): Anything {
  const { containers } = workload.spec.template.spec
  if (containers.length !== 1) throw new Error(`${workload.metadata.name}: one container expected`)
  return containers[0]
}

export interface Settings {
  readonly shop?: string
  readonly name?: string
  readonly compartments?: readonly string[]
  readonly urls?: Readonly<Record<string, string>>
  readonly limits?: Readonly<Record<string, number>>
  readonly host: string
  readonly port: number
  readonly controlPort?: number
}

/** What the program in the container will read: the file that its mounted ConfigMap is made of. */
export function settingsOf(workload: Manifest): Settings {
  const { volumes } = workload.spec.template.spec
  const mount = containerOf(workload).volumeMounts[0]
  const map = volumes.find(({ name }: { name: string }) => name === mount.name).configMap.name
  const made = kustomization.configMapGenerator.find(({ name }) => name === map)
  const [target, source] = (made?.files[0] ?? '').split('=')
  const read = containerOf(workload).args[1]
  if (read !== `${mount.mountPath}/${target}`) {
    throw new Error(`${workload.metadata.name} reads ${read}, which is not what is mounted`)
  }
  return JSON.parse(readFileSync(join(folder, source ?? ''), 'utf8')) as Settings
}

/** `1500m` and `1.5` as 1.5. */
export function cpus(quantity: string | number): number {
  const text = String(quantity)
  return text.endsWith('m') ? Number(text.slice(0, -1)) / 1_000 : Number(text)
}

/** `256Mi` as 256. */
export function mebibytes(quantity: string): number {
  const [, digits, unit] = /^(\d+)(Mi|Gi)$/.exec(quantity) ?? []
  if (!digits) throw new Error(`"${quantity}" is not in Mi or Gi`)
  return Number(digits) * (unit === 'Gi' ? 1_024 : 1)
}

/** Pods there may be at once: the most replicas, and those that a rollout adds. */
export function mostPods(deployment: Manifest): number {
  const scaler = ofKind('HorizontalPodAutoscaler').find(
    ({ spec }) => spec.scaleTargetRef.name === deployment.metadata.name,
  )
  const replicas = scaler?.spec.maxReplicas ?? deployment.spec.replicas
  return replicas + (deployment.spec.strategy.rollingUpdate?.maxSurge ?? 0)
}

/** Every pair of pods that the policies of one direction let talk, `everybody-to-dns` aside. */
export function allowed(direction: 'Ingress' | 'Egress'): string[] {
  const namesIn = (selector: Anything): string[] => selector.matchExpressions[0].values
  const rules = direction === 'Egress' ? 'egress' : 'ingress'
  const side = direction === 'Egress' ? 'to' : 'from'
  return ofKind('NetworkPolicy')
    .flatMap(({ spec }) =>
      (spec[rules] ?? []).flatMap((rule: Anything) =>
        rule[side]
          .filter((peer: Anything) => peer.podSelector)
          .flatMap((peer: Anything) =>
            namesIn(spec.podSelector).flatMap((own) =>
              namesIn(peer.podSelector).map((other) => {
                const [from, to] = direction === 'Egress' ? [own, other] : [other, own]
                return `${from} to ${to}:${rule.ports[0].port}`
              }),
            ),
          ),
      ),
    )
    .sort()
}

/** The packages that the programs in the containers import, files of their own followed. */
export function packagesOf(all: readonly Manifest[]): Set<string> {
  const packages = new Set<string>()
  const seen = new Set<string>()
  const visit = (file: URL): void => {
    if (seen.has(file.href)) return
    seen.add(file.href)
    const code = readFileSync(file, 'utf8').replaceAll(/^ *\/?\*.*$/gm, '')
    for (const [, name = ''] of code.matchAll(/(?: from |import\(|^import )'([^']+)'/gm)) {
      if (name.startsWith('.')) visit(new URL(name, file))
      else if (name !== '' && !/^(?:node:|holdfast)/.test(name)) packages.add(name)
    }
  }
  for (const each of all) visit(new URL(containerOf(each).args[0], root))
  return packages
}

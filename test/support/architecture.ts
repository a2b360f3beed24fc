/**
 * The layer rules as one function over source texts, so that a test can also hand it bad ones.
 * Where each rule comes from and why: CONTRIBUTING.md, "The layer rule".
 */
import { posix } from 'node:path'
import { lineOf } from './repository.ts'
import { globalsNamed, importsOf, parse, walk } from './syntax.ts'

const rankOf: Readonly<Record<string, number>> = {
  core: 0,
  policies: 1,
  resources: 1,
  pipeline: 1,
  testing: 1,
  adapters: 2,
  apps: 3,
}

/** Layers that run anywhere: no Node module, no environment, no process. */
const portable = new Set(['core', 'policies', 'resources', 'pipeline', 'front door'])

/** Those that load a module which users name, and nothing else: there is no other way to run it. */
const loaders = new Set(['src/adapters/threads/worker.ts'])

const timeNames = new Set([
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
])

export interface Architecture {
  /** One line for each broken rule: file and line, what is wrong, and why it is a rule. */
  readonly violations: string[]
  /** The layers with their files and edges, drawn. */
  readonly picture: string
}

export function checkArchitecture(files: ReadonlyMap<string, string>): Architecture {
  const violations: string[] = []
  const edges = new Map<string, string[]>()
  const builtinDoors: string[] = []

  for (const [file, text] of files) {
    const layer = layerOf(file)
    const say = (start: number, problem: string): void => {
      violations.push(`${file}:${lineOf(text, start)} ${problem}`)
    }
    if (layer === undefined) {
      say(0, `is in no layer; the folders of src are ${Object.keys(rankOf).join(', ')}`)
      continue
    }

    const program = parse(text)
    const targets: string[] = []
    for (const { specifier, start } of importsOf(program)) {
      if (specifier.startsWith('.')) {
        const target = posix.join(posix.dirname(file), specifier)
        if (files.has(target)) targets.push(target)
        else say(start, `imports '${specifier}', which is no source file`)
        const problem = edgeProblem(layer, layerOf(target))
        if (problem) say(start, `imports '${specifier}': ${problem}`)
      } else if (specifier.startsWith('node:')) {
        if (portable.has(layer)) {
          say(start, `imports '${specifier}': ${layer} runs anywhere, so it imports no Node module`)
        }
      } else if (layer !== 'apps' && !(specifier === '(computed)' && loaders.has(file))) {
        say(start, `imports '${specifier}': the package has no dependencies, types included`)
      }
    }
    edges.set(file, targets)

    if (file !== 'src/core/clock.ts') {
      for (const { name, start } of globalsNamed(program, timeNames)) {
        say(start, `names ${name}: only core/clock.ts does; time is passed in as a clock`)
      }
    }
    walk(program, (node, parent, key) => {
      if (key !== 'property' || parent?.type !== 'MemberExpression') return
      const name = node['name'] ?? node['value']
      if (name === 'random' && parent['object'] && file !== 'src/core/random.ts') {
        const object = parent['object'] as { name?: string }
        if (object.name === 'Math') {
          say(node.start, 'names Math.random: only core/random.ts does; chance is passed in')
        }
      }
      if (name === 'getBuiltinModule') {
        if (layer === 'core') builtinDoors.push(file)
        else if (portable.has(layer)) say(node.start, 'names getBuiltinModule: only core may')
      }
    })
    if (portable.has(layer) && !builtinDoors.includes(file)) {
      for (const { start } of globalsNamed(program, new Set(['process']))) {
        say(start, `names process: ${layer} runs anywhere and never reads the environment`)
      }
    }
  }

  const doors = [...new Set(builtinDoors)]
  if (doors.length > 1) {
    violations.push(`getBuiltinModule has more than one door: ${doors.join(', ')}`)
  }
  for (const cycle of findCycles(edges)) {
    violations.push(`import cycle (type imports count): ${cycle.join(' -> ')}`)
  }
  return { violations, picture: draw(files, edges) }
}

/** 'core', 'policies' …; 'front door' for src/index.ts; undefined for a stranger. */
function layerOf(file: string): string | undefined {
  if (file === 'src/index.ts') return 'front door'
  const folder = /^src\/([^/]+)\/.+/.exec(file)?.[1]
  return folder !== undefined && Object.hasOwn(rankOf, folder) ? folder : undefined
}

function edgeProblem(from: string, to: string | undefined): string | undefined {
  if (to === undefined) return 'it is in no layer'
  if (to === 'front door') return 'nothing inside imports the front door, which imports everything'
  const target = rankOf[to] ?? 0
  if (from === 'front door') {
    const opens = target <= 1 && to !== 'testing'
    return opens ? undefined : `the front door opens ranks 0 and 1, and ${to} has its own door`
  }
  if (from === to) return undefined
  const own = rankOf[from] ?? 0
  if (target > own) return `${from} (rank ${own}) imports upwards from ${to} (rank ${target})`
  if (target === own) return `${from} and ${to} stand side by side in rank ${own}`
  if (to === 'testing' && from !== 'apps') return `${from} ships to production, testing does not`
  return undefined
}

/** Each strongly connected group is reported once, as one closed walk. */
function findCycles(edges: ReadonlyMap<string, string[]>): string[][] {
  const cycles: string[][] = []
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): void => {
    const at = path.indexOf(file)
    if (at >= 0) cycles.push([...path.slice(at), file])
    if (at >= 0 || done.has(file)) return
    path.push(file)
    for (const target of edges.get(file) ?? []) visit(target)
    path.pop()
    done.add(file)
  }
  for (const file of edges.keys()) visit(file)
  return cycles
}

function draw(files: ReadonlyMap<string, string>, edges: ReadonlyMap<string, string[]>): string {
  const rows = [
    ['        ', ['front door']],
    [' rank 3 ', ['apps']],
    [' rank 2 ', ['adapters']],
    [' rank 1 ', ['policies', 'resources', 'pipeline', 'testing']],
    [' rank 0 ', ['core']],
  ] as const
  const lines: string[] = []
  for (const [label, layers] of rows) {
    for (const layer of layers) {
      const own = [...files.keys()].filter((file) => layerOf(file) === layer)
      if (own.length === 0) continue
      const counts = new Map<string, number>()
      for (const target of own.flatMap((file) => edges.get(file) ?? [])) {
        const to = layerOf(target) ?? 'nowhere'
        counts.set(to, (counts.get(to) ?? 0) + 1)
      }
      const arrows = [...counts].map(([to, n]) => (to === layer ? `${n} within` : `${n} to ${to}`))
      const size = `${own.length} file${own.length === 1 ? '' : 's'}`
      lines.push(`${label}${layer.padEnd(11)}${size.padStart(9)}   ${arrows.join(', ')}`)
    }
  }
  return lines.join('\n')
}

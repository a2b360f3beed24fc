/** A TypeScript syntax tree, loosely typed: enough to ask what a file imports, exports and names. */
import { parseAst } from 'vitest/node'

export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

export function parse(source: string): Node {
  return parseAst(source, { lang: 'ts', astType: 'ts' }) as unknown as Node
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value
}

export function isNamed(value: unknown, type: string): value is Node {
  return isNode(value) && value.type === type
}

/** Visits every node, parents first. */
export function walk(
  node: Node,
  visit: (node: Node, parent: Node | undefined, key: string) => void,
): void {
  const step = (current: Node, parent: Node | undefined, key: string): void => {
    visit(current, parent, key)
    for (const [childKey, child] of Object.entries(current)) {
      if (isNode(child)) step(child, current, childKey)
      else if (Array.isArray(child)) {
        for (const item of child) if (isNode(item)) step(item, current, childKey)
      }
    }
  }
  step(node, undefined, '')
}

/** Every module that a file depends on: imports, re-exports, `import()` and `import('…').Type`. */
export function importsOf(program: Node): { specifier: string; start: number }[] {
  const found: { specifier: string; start: number }[] = []
  walk(program, (node) => {
    const isDependency =
      node.type === 'ImportDeclaration' ||
      node.type === 'ExportNamedDeclaration' ||
      node.type === 'ExportAllDeclaration' ||
      node.type === 'ImportExpression' ||
      node.type === 'TSImportType'
    const source = node['source']
    if (!isDependency || !isNode(source)) return
    const value = source['value']
    found.push({
      specifier: typeof value === 'string' ? value : '(computed)',
      start: node.start,
    })
  })
  return found
}

const globalObjects = new Set(['globalThis', 'window', 'self', 'global'])

/**
 * Every use of a name that could mean a global: free identifiers (types included) and members of
 * the global object, but not the same word as a property, a key or a member of something else.
 */
export function globalsNamed(
  program: Node,
  names: ReadonlySet<string>,
): { name: string; start: number }[] {
  const found: { name: string; start: number }[] = []
  walk(program, (node, parent, key) => {
    const name = node.type === 'Identifier' ? node['name'] : node['value']
    if (typeof name !== 'string' || !names.has(name)) return

    const object = parent?.['object']
    const ofGlobal = isNamed(object, 'Identifier') && globalObjects.has(String(object['name']))
    const isMember = parent?.type === 'MemberExpression' && key === 'property'
    if (node.type === 'Literal') {
      if (isMember && ofGlobal) found.push({ name, start: node.start })
      return
    }
    if (node.type !== 'Identifier') return
    if (isMember && parent['computed'] !== true) {
      if (ofGlobal) found.push({ name, start: node.start })
      return
    }
    // The key in `{ setTimeout: … }` or of a class or interface member; a shorthand key is a use,
    // and its value is visited as well.
    const isKey = key === 'key' && parent?.['computed'] !== true
    const isQualified = parent?.type === 'TSQualifiedName' && key === 'right'
    if (!isKey && !isQualified) found.push({ name, start: node.start })
  })
  return found
}

/** Every name that a door of the package offers, with what it is and where it is declared. */
import { posix } from 'node:path'
import { lineOf } from './repository.ts'
import { isNamed, isNode, type Node, parse } from './syntax.ts'

export interface PublicName {
  readonly name: string
  /** What it is; one name may be both a type and a value. */
  readonly kinds: readonly string[]
  /** `file:line` of its first declaration. */
  readonly where: string
  readonly file: string
  /** Whether a docstring stands directly above one of its declarations. */
  readonly documented: boolean
}

interface Declaration {
  readonly kind: string
  readonly file: string
  readonly start: number
  readonly documented: boolean
}

const kindOf: Readonly<Record<string, string>> = {
  FunctionDeclaration: 'function',
  TSDeclareFunction: 'function',
  ClassDeclaration: 'class',
  VariableDeclaration: 'const',
  TSInterfaceDeclaration: 'interface',
  TSTypeAliasDeclaration: 'type',
}

export function publicNames(files: ReadonlyMap<string, string>, door: string): PublicName[] {
  const names = [...exportsOf(files, door)].map(([name, declarations]): PublicName => {
    const [first] = declarations
    return {
      name,
      kinds: [...new Set(declarations.map((declaration) => declaration.kind))].sort(),
      file: first?.file ?? door,
      where: first
        ? `${first.file}:${lineOf(files.get(first.file) ?? '', first.start)}`
        : `${door} (no declaration found)`,
      documented: declarations.some((declaration) => declaration.documented),
    }
  })
  return names.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function exportsOf(files: ReadonlyMap<string, string>, file: string): Map<string, Declaration[]> {
  const found = new Map<string, Declaration[]>()
  const text = files.get(file)
  if (text === undefined) return found
  const body = (parse(text)['body'] as Node[] | undefined) ?? []
  const local = declarationsIn(body, file, text)

  for (const statement of body) {
    const { source } = statement as { source?: Node | null }
    const target = source ? posix.join(posix.dirname(file), String(source['value'])) : undefined
    if (statement.type === 'ExportAllDeclaration' && target) {
      for (const [name, declarations] of exportsOf(files, target)) found.set(name, declarations)
    }
    if (statement.type !== 'ExportNamedDeclaration') continue
    const origin = target ? exportsOf(files, target) : local
    for (const specifier of (statement['specifiers'] as Node[] | undefined) ?? []) {
      const from = nameOf(specifier['local'])
      found.set(nameOf(specifier['exported']), origin.get(from) ?? [])
    }
    if (isNode(statement['declaration'])) {
      for (const name of declaredNames(statement['declaration'])) {
        found.set(name, local.get(name) ?? [])
      }
    }
  }
  return found
}

function declarationsIn(body: Node[], file: string, text: string): Map<string, Declaration[]> {
  const found = new Map<string, Declaration[]>()
  for (const statement of body) {
    const inner = statement['declaration']
    const declaration = isNode(inner) ? inner : statement
    const kind = kindOf[declaration.type]
    if (kind === undefined) continue
    const documented = hasDocstring(text, statement.start)
    for (const name of declaredNames(declaration)) {
      const earlier = found.get(name) ?? []
      found.set(name, [...earlier, { kind, file, start: statement.start, documented }])
    }
  }
  return found
}

function declaredNames(declaration: Node): string[] {
  if (declaration.type === 'VariableDeclaration') {
    return (declaration['declarations'] as Node[]).map((one) => nameOf(one['id']))
  }
  return isNamed(declaration['id'], 'Identifier') ? [nameOf(declaration['id'])] : []
}

function nameOf(node: unknown): string {
  return isNode(node) ? String(node['name'] ?? node['value']) : ''
}

function hasDocstring(text: string, start: number): boolean {
  const before = text.slice(0, start).trimEnd()
  if (!before.endsWith('*/')) return false
  return before.lastIndexOf('/**') > before.lastIndexOf('*/', before.length - 3)
}

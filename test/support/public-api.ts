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
  const names = [...exportsOf({ files, known: new Map() }, door)].map(
    ([name, declarations]): PublicName => {
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
    },
  )
  return names.sort((a, b) => (a.name < b.name ? -1 : 1))
}

interface Search {
  readonly files: ReadonlyMap<string, string>
  /** What each file exports, filled before its imports are followed: a cycle ends there. */
  readonly known: Map<string, Map<string, Declaration[]>>
}

function exportsOf(search: Search, file: string): Map<string, Declaration[]> {
  const { files, known } = search
  const earlier = known.get(file)
  if (earlier) return earlier
  const found = new Map<string, Declaration[]>()
  known.set(file, found)
  const text = files.get(file)
  if (text === undefined) return found
  const body = (parse(text)['body'] as Node[] | undefined) ?? []
  const local = declarationsIn(body, file, text)
  for (const [name, declarations] of importedNames(search, file, body)) {
    if (!local.has(name)) local.set(name, declarations)
  }

  for (const statement of body) {
    const { source } = statement as { source?: Node | null }
    const target = source ? posix.join(posix.dirname(file), String(source['value'])) : undefined
    if (statement.type === 'ExportAllDeclaration' && target) {
      for (const [name, declarations] of exportsOf(search, target)) found.set(name, declarations)
    }
    if (statement.type !== 'ExportNamedDeclaration') continue
    const origin = target ? exportsOf(search, target) : local
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

/** What is imported may be exported again by its name alone. */
function importedNames(search: Search, file: string, body: Node[]): Map<string, Declaration[]> {
  const found = new Map<string, Declaration[]>()
  for (const statement of body) {
    const source = statement['source']
    if (statement.type !== 'ImportDeclaration' || !isNode(source)) continue
    const origin = exportsOf(search, posix.join(posix.dirname(file), String(source['value'])))
    for (const specifier of statement['specifiers'] as Node[]) {
      const declarations = origin.get(nameOf(specifier['imported']))
      if (declarations) found.set(nameOf(specifier['local']), declarations)
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

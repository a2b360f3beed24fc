/**
 * Documentation that is executed: finds every `ts` block of Markdown pages and docstrings and makes
 * a module of each. The conventions, for those who write the pages: CONTRIBUTING.md, "Snippets".
 */
import { lineOf } from './repository.ts'
import { globalsNamed, isNamed, isNode, type Node, parse, walk } from './syntax.ts'

export interface Snippet {
  readonly file: string
  /** The line of its first code line in the file. */
  readonly line: number
  readonly code: string
  /** Hidden code that runs before it: from `<!-- setup: … -->` above the block. */
  readonly setup: string
  /** False for blocks marked `no-run`, which are only type-checked. */
  readonly runs: boolean
}

/** Finds the blocks of a page or, in a source file, of its docstrings. */
export function findSnippets(file: string, text: string): Snippet[] {
  if (file.endsWith('.md')) return blocksOf(file, text, 1)
  return [...text.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap(({ 0: comment, index }) =>
    blocksOf(file, comment.replace(/^[ \t]*\* ?/gm, ''), lineOf(text, index)),
  )
}

const block =
  /(?:<!-- setup:(?<setup>(?:(?!-->)[\s\S])*?)-->\s*?\n\s*?)?^(?<indent>[ \t]*)```ts\b(?<info>[^\n]*)\n(?<code>[\s\S]*?)^[ \t]*```[ \t]*$|<!-- setup-all:(?<all>(?:(?!-->)[\s\S])*?)-->/gm

function blocksOf(file: string, text: string, firstLine: number): Snippet[] {
  const shared: string[] = []
  const found: Snippet[] = []
  for (const match of text.matchAll(block)) {
    const { setup = '', indent = '', info = '', code = '', all } = match.groups ?? {}
    if (all !== undefined) {
      shared.push(all.trim())
      continue
    }
    const opening = match.index + match[0].search(/^[ \t]*```ts/m)
    found.push({
      file,
      line: lineOf(text, opening) + firstLine,
      code: code.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trimEnd(),
      setup: [...shared, setup.trim()].filter(Boolean).join('\n'),
      runs: !info.split(/\s+/).includes('no-run'),
    })
  }
  return found
}

/** Public names to import for a snippet that does not import them itself: name to import clause. */
export type KnownNames = ReadonlyMap<string, { readonly door: string; readonly isType: boolean }>

export interface SnippetModule {
  readonly source: string
  /** Line in the page = line in the module + this. */
  readonly lineOffset: number
}

/** Makes a module: hidden imports, hidden setup, then the code with its marks as assertions. */
export function toModule(snippet: Snippet, known: KnownNames, marks: string): SnippetModule {
  const imports = [
    `import { same as $same, throws as $throws } from '${marks}'; void [$same, $throws]`,
  ]
  const needed = neededNames(`${snippet.setup}\n${snippet.code}`, known)
  for (const door of new Set([...needed.values()].map((name) => name.door))) {
    const clause = [...needed].filter(([, from]) => from.door === door)
    const names = clause.map(([name, { isType }]) => (isType ? `type ${name}` : name))
    imports.push(`import { ${names.join(', ')} } from '${door}'`)
  }
  const head = [...imports, ...(snippet.setup ? [snippet.setup] : [])].join('\n')
  return {
    source: `${head}\n${assertMarks(snippet)}\nexport {}\n`,
    lineOffset: snippet.line - head.split('\n').length - 1,
  }
}

function neededNames(
  code: string,
  known: KnownNames,
): Map<string, { door: string; isType: boolean }> {
  const program = parse(code)
  const own = new Set<string>()
  walk(program, (node) => {
    const id = node.type.startsWith('Import') ? node['local'] : node['id']
    if (isNamed(id, 'Identifier')) own.add(String(id['name']))
    if (isNamed(id, 'ObjectPattern') || isNamed(id, 'ArrayPattern')) {
      walk(id, (inner) => {
        if (inner.type === 'Identifier') own.add(String(inner['name']))
      })
    }
  })
  const used = globalsNamed(program, new Set(known.keys())).map(({ name }) => name)
  return new Map([...known].filter(([name]) => used.includes(name) && !own.has(name)))
}

const mark = /\/\/ (?:(?<equals>=>)|(?:throws|rejects)) (?<text>.*)$/gm

/** Turns each mark into an assertion in place, so that no line moves. */
function assertMarks({ code, file, line }: Snippet): string {
  const program = parse(code)
  let result = code
  // From the last to the first, so that the positions before it stay true.
  for (const match of [...code.matchAll(mark)].reverse()) {
    const { equals, text = '' } = match.groups ?? {}
    const where = `${file}:${line + lineOf(code, match.index) - 1}`
    const statement = statementBefore(program, code, match.index)
    if (!statement) {
      const hint = 'does the next line, with its ( or [, continue it?'
      throw new Error(`${where} the mark "${match[0]}" follows no whole expression: ${hint}`)
    }
    const edit = equals
      ? assertEqual(statement, code, text.trim(), where)
      : assertThrows(statement, code, text.trim(), where)
    result = result.slice(0, edit.start) + edit.text + result.slice(edit.end)
  }
  return result
}

interface Marked {
  readonly node: Node
  readonly mayAwait: boolean
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/** The outermost statement that ends where the mark begins. */
function statementBefore(program: Node, code: string, mark: number): Marked | undefined {
  let found: Marked | undefined
  const visit = (node: Node, mayAwait: boolean): void => {
    if (node.start > mark) return
    const isStatement = node.type === 'ExpressionStatement' || node.type === 'VariableDeclaration'
    if (isStatement && node.end <= mark && /^[\s;]*$/.test(code.slice(node.end, mark))) {
      found ??= { node, mayAwait }
    }
    const isFunction = node.type.includes('Function')
    for (const child of Object.values(node).flat()) {
      if (isNode(child)) visit(child, isFunction ? node['async'] === true : mayAwait)
    }
  }
  visit(program, true)
  return found
}

function assertEqual({ node, mayAwait }: Marked, code: string, text: string, where: string): Edit {
  // `{ state: 'open', ... }` names a part of the object.
  const part = /,?\s*\.\.\.\s*\}$/.test(text)
  const expected = part ? text.replace(/,?\s*\.\.\.\s*\}$/, ' }') : text
  try {
    parse(`(${expected})`)
  } catch {
    throw new Error(`${where} the value of the mark is not an expression: ${text}`)
  }
  const { start, end, awaits } = subject(node, where)
  const actual = code.slice(start, end)
  const awaited = awaits && mayAwait ? `await (${actual})` : actual
  return { start, end, text: `$same(${awaited}, (${expected}), ${part}, '${where}')` }
}

/** What the mark speaks of: an expression, what is logged, or the first value of a declaration. */
function subject(node: Node, where: string): { start: number; end: number; awaits: boolean } {
  if (node.type === 'VariableDeclaration') {
    const [only, another] = node['declarations'] as Node[]
    const init = only?.['init']
    if (another || !isNode(init)) throw new Error(`${where} the mark follows no single value`)
    return { start: init.start, end: init.end, awaits: false }
  }
  const expression = node['expression'] as Node
  const [argument, more] = (expression['arguments'] as Node[] | undefined) ?? []
  const callee = expression['callee']
  const isLog =
    isNamed(callee, 'MemberExpression') &&
    isNamed(callee['object'], 'Identifier') &&
    callee['object']['name'] === 'console'
  if (isLog && argument && !more) return { start: argument.start, end: argument.end, awaits: true }
  return { start: expression.start, end: expression.end, awaits: true }
}

function assertThrows({ node, mayAwait }: Marked, code: string, text: string, where: string): Edit {
  if (node.type !== 'ExpressionStatement' || !mayAwait) {
    throw new Error(`${where} the mark "throws" needs an expression that may be awaited`)
  }
  const { start, end } = node['expression'] as Node
  const [, name = '', words = ''] = /^([\w$]+)(?:: (.*))?$/.exec(text) ?? []
  if (!name) throw new Error(`${where} the mark names no error class: ${text}`)
  const operation = `async () => (${code.slice(start, end)})`
  const call = `$throws(${operation}, '${name}', ${JSON.stringify(words)}, '${where}')`
  return { start, end, text: `await ${call}` }
}

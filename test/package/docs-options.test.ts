/**
 * The options tables of the pages say what the sources say: every option has its row, every row its
 * option, and the default is the one of the docstring. A table names its interface in a hidden comment
 * above it: `<!-- options: RetryOptions -->`.
 */
import { describe, expect, it } from 'vitest'
import { markdownFiles, readText, sources } from '../support/repository.ts'

const interfaces = new Map([...sources().values()].flatMap(interfacesIn))
const tables = markdownFiles().flatMap((page) => tablesIn(page, readText(page)))
const documented = tables.map((table) => [`${table.page}: ${table.name}`, table] as const)

describe('the options tables', () => {
  it('cover every options interface that users can name', () => {
    const named = new Set(tables.map(({ name }) => name))
    const missing = [...interfaces.keys()]
      .filter((name) => name.endsWith('Options') && isPublic(name))
      .filter((name) => !named.has(name))

    expect(missing, 'options without a table on any page').toEqual([])
  })

  it.each(documented)('of %s say what the source says', (_title, { name, rows }) => {
    expect(rows).toEqual(optionsOf(name))
  })

  it.each(documented)('of %s give meaning, unit and range', (_title, { cells }) => {
    const gaps = cells.filter((row) => row.length !== 5 || row.some((cell) => cell === ''))

    expect(gaps, 'rows that do not fill: option, meaning, unit, range, default').toEqual([])
  })
})

describe('the lists of words', () => {
  const events = ['events', 'event-base', 'load-events']
    .map((file) => readText(`src/core/${file}.ts`))
    .join('\n')
  const check = readText('src/pipeline/check.ts')

  it.each([
    ['events', 'docs/events.md', 'All events', wordsIn(events, /readonly type: '([\w-]+)'/g)],
    ['endings', 'docs/events.md', 'All events', unionIn(events, 'Ending')],
    ['findings', 'docs/composition.md', 'What check() finds', unionIn(check, 'FindingCode')],
    [
      'reasons to give up',
      'docs/retry.md',
      'Events',
      wordsIn(/interface GaveUp[\s\S]*?\n\}/.exec(events)?.[0] ?? '', /'([\w-]+)'/g).filter(
        (word) => word !== 'give-up',
      ),
    ],
  ])('name all %s that there are, and no others', (_what, page, heading, words) => {
    expect(words.length).toBeGreaterThan(1)
    expect(firstColumns(section(readText(page), heading))).toContainEqual([...words].sort())
  })

  it('name every error code', () => {
    const texts = [...sources()].filter(([file]) => /^src\/core\/.*errors\.ts$/.test(file))
    const codes = texts.flatMap(([, text]) => wordsIn(text, /'(ERR_\w+)'/g))
    const missing = codes.filter((code) => !readText('docs/errors.md').includes(code))

    expect(codes.length).toBeGreaterThan(1)
    expect(missing).toEqual([])
  })
})

describe('the reading of options', () => {
  const source = [
    'export interface BaseOptions {',
    '  /** Names it. @default the kind */',
    '  readonly name?: string',
    '}',
    'export interface FooOptions<T> extends BaseOptions {',
    '  /** How many. */',
    '  readonly size: number',
    '  /**',
    '   * How long,',
    '   * in ms. @default 1_000',
    '   */',
    '  readonly wait?: number | ((n: number) => number)',
    '  readonly which?: (',
    '    info: Info & { readonly delay: number },',
    '  ) => boolean',
    '}',
  ].join('\n')

  it('finds names, defaults and parents', () => {
    expect(new Map(interfacesIn(source)).get('FooOptions')).toEqual({
      parent: 'BaseOptions',
      options: { size: 'required', wait: '1_000', which: 'none' },
    })
  })

  it('finds marked tables, with escaped bars and formatted defaults', () => {
    const page = [
      '<!-- options: FooOptions -->',
      '| option | meaning | unit | range | default |',
      '| --- | --- | --- | --- | --- |',
      '| `size` | `a \\| b` | calls | 1 up | required |',
      '| `wait` | how long | ms | 0 up | `1_000` |',
      '',
      '| `other` | table | x | x | x |',
    ].join('\n')

    expect(tablesIn('a.md', page).map(({ rows }) => rows)).toEqual([
      { size: 'required', wait: '1_000' },
    ])
  })
})

interface Found {
  readonly parent: string | undefined
  /** Option to default; `required`, or `none` where the docstring states no default. */
  readonly options: Readonly<Record<string, string>>
}

function interfacesIn(text: string): [string, Found][] {
  const declaration =
    /^export interface (\w+)(?:<[^>]*>)?(?:\s+extends (\w+)(?:<[^>]*>)?)? \{\n([\s\S]*?)^\}/gm
  return [...text.matchAll(declaration)].map(([, name = '', parent, body = '']) => {
    const option = /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)?^ {2}readonly (\w+)(\?)?:/gm
    const options = [...body.matchAll(option)].map(([, comment = '', key = '', optional]) => {
      const words = comment.replaceAll(/\s*\n\s*\*?\s*/g, ' ').trim()
      const stated = /@default (.*)$/.exec(words)?.[1]
      return [key, stated ? plain(stated) : optional ? 'none' : 'required'] as const
    })
    return [name, { parent, options: Object.fromEntries(options) }]
  })
}

function optionsOf(name: string): Readonly<Record<string, string>> {
  const found = interfaces.get(name)
  if (found === undefined) throw new Error(`no exported interface ${name} in the sources`)
  return { ...(found.parent === undefined ? {} : optionsOf(found.parent)), ...found.options }
}

interface Table {
  readonly page: string
  readonly name: string
  readonly rows: Readonly<Record<string, string>>
  readonly cells: readonly (readonly string[])[]
}

function tablesIn(page: string, text: string): Table[] {
  const marked = /<!-- options: (\w+) -->\n\|[^\n]*\n\|[ :|-]*\n((?:\|[^\n]*\n?)*)/g
  return [...text.matchAll(marked)].map(([, name = '', body = '']) => {
    const cells = body.trim().split('\n').map(cellsOf)
    const rows = cells.map((row) => [plain(row[0] ?? ''), plain(row.at(-1) ?? '')] as const)
    return { page, name, rows: Object.fromEntries(rows), cells }
  })
}

function cellsOf(row: string): string[] {
  return row
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim())
}

function wordsIn(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, word = '']) => word))]
}

function unionIn(text: string, name: string): string[] {
  const union = new RegExp(`^export type ${name} =((?:\\s*\\|?\\s*'[\\w-]+')+)`, 'm').exec(
    text,
  )?.[1]
  return wordsIn(union ?? '', /'([\w-]+)'/g)
}

/** What stands under a heading, down to the next one. */
function section(text: string, heading: string): string {
  return text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? ''
}

/** The first cells of each table, sorted. */
function firstColumns(text: string): string[][] {
  const found = text.match(/(?:^\|.*\n)+/gm) ?? []
  return found.map((table) =>
    table
      .trim()
      .split('\n')
      .slice(2)
      .map((row) => plain(cellsOf(row)[0] ?? ''))
      .sort(),
  )
}

function plain(text: string): string {
  return text.replaceAll('`', '').trim().replace(/\.$/, '')
}

function isPublic(name: string): boolean {
  return ['src/index.ts', 'src/testing/index.ts'].some((door) =>
    new RegExp(`\\b${name}\\b`).test(sources().get(door) ?? ''),
  )
}

/** The guards of the documentation themselves: each convention of the snippets holds and can fail. */
import { describe, expect, it } from 'vitest'
import { runDecorated } from '../support/decorators-plugin.ts'
import { same, throws } from '../support/snippet-marks.ts'
import { findSnippets, toModule } from '../support/snippets.ts'

const page = (...lines: string[]): string => ['# Page', '', ...lines].join('\n')
const known = new Map([
  ['retry', { door: 'holdfast', isType: false }],
  ['RetryOptions', { door: 'holdfast', isType: true }],
])

describe('findSnippets', () => {
  it('finds the ts blocks of a page with their lines', () => {
    const text = page(
      '```ts',
      'one()',
      '```',
      '```sh',
      'two',
      '```',
      '  ```ts no-run',
      '  3',
      '  ```',
    )

    expect(findSnippets('a.md', text)).toEqual([
      { file: 'a.md', line: 4, code: 'one()', setup: '', runs: true },
      { file: 'a.md', line: 10, code: '3', setup: '', runs: false },
    ])
  })

  it('finds the blocks of docstrings with their lines', () => {
    const text = ['const a = 1', '/**', ' * Says.', ' * ```ts', ' * two()', ' * ```', ' */'].join(
      '\n',
    )

    expect(findSnippets('a.ts', text)).toEqual([
      { file: 'a.ts', line: 5, code: 'two()', setup: '', runs: true },
    ])
  })

  it('gives a block its own hidden setup, and all later blocks that of the page', () => {
    const text = page(
      '```ts\none()\n```',
      '<!-- setup-all: const x = 1 -->',
      '<!-- setup:\nconst y = 2\n-->',
      '```ts\ntwo()\n```',
      '```ts\nthree()\n```',
    )

    expect(findSnippets('a.md', text).map(({ line, setup }) => [line, setup])).toEqual([
      [4, ''],
      [11, 'const x = 1\nconst y = 2'],
      [14, 'const x = 1'],
    ])
  })
})

describe('toModule', () => {
  const compile = (code: string, setup = ''): string =>
    toModule({ file: 'a.md', line: 10, code, setup, runs: true }, known, 'marks').source

  it('keeps the lines of the page', () => {
    const snippet = { file: 'a.md', line: 10, code: 'a\nb // => 1', setup: 'x\ny', runs: true }
    const { source, lineOffset } = toModule(snippet, known, 'marks')

    const line =
      source.split('\n').findIndex((text) => text.includes('$same(') && !text.includes('import')) +
      1
    expect(line + lineOffset).toBe(11)
  })

  it('imports the public names that are used and not imported', () => {
    expect(compile('retry()')).toContain(`import { retry } from 'holdfast'`)
    expect(compile('let o: RetryOptions')).toContain(`import { type RetryOptions } from 'holdfast'`)
    expect(compile(`import { retry } from 'holdfast'\nretry()`)).not.toContain(
      "import { retry } from 'holdfast'\nimport",
    )
    expect(compile('const retry = 1\nretry')).not.toContain('{ retry }')
    expect(compile('policy.retry()')).not.toContain('{ retry }')
  })

  it.each([
    ['f() // => 1', `$same(await (f()), (1), false, 'a.md:10') // => 1`],
    ['await f()\n// => 1', `$same(await (await f()), (1), false, 'a.md:11')`],
    ['const x = await f() // => 1', `const x = $same(await f(), (1), false, 'a.md:10') // =>`],
    ['console.log(x) // => 1', `console.log($same(await (x), (1), false, 'a.md:10')) // =>`],
    ['x // => { a: 1, ... }', `$same(await (x), ({ a: 1 }), true, 'a.md:10')`],
    ['() => {\n  x // => 1\n}', `$same(x, (1), false, 'a.md:11')`],
    ['f(\n  1,\n) // => 1', `$same(await (f(\n  1,\n)), (1), false, 'a.md:12')`],
    ['f() // throws E', `await $throws(async () => (f()), 'E', "", 'a.md:10')`],
    ['f() // throws E: at most 3', `await $throws(async () => (f()), 'E', "at most 3", 'a.md:10')`],
  ])('compiles %j', (code, expected) => {
    expect(compile(code)).toContain(expected)
  })

  it.each([
    ['if (a) {\n  f()\n} // => 1', /a\.md:12 the mark ".*" follows no whole expression/],
    ['f() // => 1\n(g()).h // => 2', /continue it\?/],
    ['f() // => as soon as it can', /the value of the mark is not an expression/],
    ['f() // throws', undefined],
    ['const x = f() // throws E', /needs an expression/],
    ['f( // => 1', /.*/],
  ])('refuses %j', (code, message) => {
    if (message) expect(() => compile(code)).toThrow(message)
    else expect(compile(code)).toContain('f() // throws')
  })
})

describe('marks', () => {
  it('compare deeply, and fail on a difference', () => {
    expect(same({ a: [1] }, { a: [1] }, false, '')).toEqual({ a: [1] })
    expect(() => same({ a: [1] }, { a: [2] }, false, '')).toThrow()
    expect(() => same({ a: 1, b: 2 }, { a: 1 }, false, '')).toThrow()
    expect(same({ a: 1, b: 2 }, { a: 1 }, true, '')).toEqual({ a: 1, b: 2 })
  })

  it('expect the named error or a parent of it, with the words', async () => {
    const fail = (): never => {
      throw new RangeError('at most 3')
    }

    await throws(fail, 'RangeError', 'at most', '')
    await throws(fail, 'Error', '', '')
    await expect(throws(fail, 'TypeError', '', '')).rejects.toThrow()
    await expect(throws(fail, 'RangeError', 'at least', '')).rejects.toThrow()
    await expect(throws(() => 1, 'Error', '', 'a.md:1')).rejects.toThrow('a.md:1 ended well')
  })
})

describe('runDecorated', () => {
  it.each(['standard', 'legacy'] as const)(
    'runs a class by the %s convention',
    async (convention) => {
      const seen: unknown[][] = []
      const note = (...args: unknown[]): void => void seen.push(args)
      const source = 'export class Shop { @note product(id: string): string { return id } }'

      const { Shop } = await runDecorated(source, convention, { note })

      const shop = new (Shop as new () => { product(id: string): string })()
      expect(shop.product('tea')).toBe('tea')
      expect(seen.map((args) => args.length)).toEqual([convention === 'legacy' ? 3 : 2])
    },
  )
})

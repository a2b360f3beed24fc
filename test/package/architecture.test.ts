/**
 * Imports point down, never sideways, never up, never in a circle; time, chance and the platform
 * come in through one door each. Every rule is also shown to fail on a planted source.
 */
import { describe, expect, it } from 'vitest'
import { checkArchitecture } from '../support/architecture.ts'
import { sources } from '../support/repository.ts'

describe('architecture', () => {
  it('has no violation in the sources', () => {
    const { violations, picture } = checkArchitecture(sources())

    console.log(`The layers of src:\n${picture}`)
    expect(violations).toEqual([])
  })

  describe('finds each planted violation', () => {
    const planted: [rule: string, files: Record<string, string>, message: RegExp][] = [
      [
        'an import upwards',
        { 'src/core/a.ts': `import '../policies/b.ts'`, 'src/policies/b.ts': '' },
        /a\.ts:1 imports '\.\.\/policies\/b\.ts': core \(rank 0\) imports upwards/,
      ],
      [
        'a type import upwards',
        { 'src/core/a.ts': `\nimport type { B } from '../policies/b.ts'`, 'src/policies/b.ts': '' },
        /a\.ts:2 .*upwards/,
      ],
      [
        'a type query upwards',
        { 'src/core/a.ts': `type B = import('../policies/b.ts').B`, 'src/policies/b.ts': '' },
        /upwards/,
      ],
      [
        'an import sideways',
        { 'src/pipeline/a.ts': `import '../policies/b.ts'`, 'src/policies/b.ts': '' },
        /pipeline and policies stand side by side in rank 1/,
      ],
      [
        'a re-export sideways',
        { 'src/policies/a.ts': `export * from '../testing/b.ts'`, 'src/testing/b.ts': '' },
        /policies and testing stand side by side/,
      ],
      [
        'an adapter that imports the testing kit',
        { 'src/adapters/a.ts': `import '../testing/b.ts'`, 'src/testing/b.ts': '' },
        /adapters ships to production/,
      ],
      [
        'a front door that opens the testing kit',
        { 'src/index.ts': `export * from './testing/b.ts'`, 'src/testing/b.ts': '' },
        /testing has its own door/,
      ],
      [
        'a front door that opens an adapter',
        { 'src/index.ts': `export { a } from './adapters/a.ts'`, 'src/adapters/a.ts': '' },
        /adapters has its own door/,
      ],
      [
        'an import of the front door from inside',
        { 'src/policies/a.ts': `import '../index.ts'`, 'src/index.ts': '' },
        /nothing inside imports the front door/,
      ],
      ['a file in no layer', { 'src/utils/a.ts': '' }, /is in no layer/],
      [
        'an import of a file that is not there',
        { 'src/core/a.ts': `import './gone.ts'` },
        /which is no source file/,
      ],
      [
        'a cycle of type imports',
        {
          'src/core/a.ts': `import type { B } from './b.ts'`,
          'src/core/b.ts': `import type { C } from './c.ts'`,
          'src/core/c.ts': `import type { A } from './a.ts'`,
        },
        /import cycle .*a\.ts -> src\/core\/b\.ts -> src\/core\/c\.ts -> src\/core\/a\.ts/,
      ],
      ['a Node module', { 'src/core/a.ts': `import 'node:fs'` }, /imports no Node module/],
      [
        'a Node module imported when needed',
        { 'src/pipeline/a.ts': `await import('node:async_hooks')` },
        /imports no Node module/,
      ],
      ['a package', { 'src/adapters/a.ts': `import type { R } from 'redis'` }, /no dependencies/],
      ['a computed import', { 'src/adapters/a.ts': 'await import(name)' }, /no dependencies/],
      [
        'a package where computed imports are allowed',
        { 'src/adapters/threads/worker.ts': `await import(name); import 'piscina'` },
        /'piscina': .*no dependencies/,
      ],
      ['Date', { 'src/policies/a.ts': 'const t = Date.now()' }, /names Date/],
      ['Date as a type', { 'src/policies/a.ts': 'let t: Date' }, /names Date/],
      ['performance', { 'src/core/a.ts': 'performance.now()' }, /names performance/],
      ['setTimeout', { 'src/policies/a.ts': 'setTimeout(f, 1)' }, /names setTimeout/],
      ['setInterval', { 'src/policies/a.ts': 'setInterval(f, 1)' }, /names setInterval/],
      ['setImmediate', { 'src/policies/a.ts': 'setImmediate(f)' }, /names setImmediate/],
      [
        'a timer through the global object',
        { 'src/policies/a.ts': 'globalThis.setTimeout(f, 1)' },
        /names setTimeout/,
      ],
      [
        'a timer through a quoted name',
        { 'src/policies/a.ts': `globalThis['setTimeout'](f, 1)` },
        /names setTimeout/,
      ],
      [
        'a timer through a type query',
        { 'src/policies/a.ts': 'type T = ReturnType<typeof setTimeout>' },
        /names setTimeout/,
      ],
      ['Math.random', { 'src/core/backoff.ts': 'Math.random()' }, /names Math\.random/],
      ['a quoted Math.random', { 'src/core/a.ts': `Math['random']()` }, /names Math\.random/],
      ['the environment', { 'src/policies/a.ts': 'process.env.DEBUG' }, /never reads the env/],
      [
        'getBuiltinModule outside core',
        { 'src/policies/a.ts': `p.getBuiltinModule('node:fs')` },
        /only core may/,
      ],
      [
        'a second getBuiltinModule',
        {
          'src/core/a.ts': `globalThis.process?.getBuiltinModule('node:fs')`,
          'src/core/b.ts': `globalThis.process?.getBuiltinModule('node:fs')`,
        },
        /more than one door: src\/core\/a\.ts, src\/core\/b\.ts/,
      ],
    ]

    it.each(planted)('%s', (_rule, files, message) => {
      const { violations } = checkArchitecture(new Map(Object.entries(files)))

      expect(violations).toHaveLength(1)
      expect(violations[0]).toMatch(message)
    })
  })

  describe('allows', () => {
    const allowed: [what: string, files: Record<string, string>][] = [
      [
        'an import downwards',
        { 'src/policies/a.ts': `import '../core/b.ts'`, 'src/core/b.ts': '' },
      ],
      ['an import within a layer', { 'src/core/a.ts': `import './b.ts'`, 'src/core/b.ts': '' }],
      [
        'the front door to open ranks 0 and 1',
        {
          'src/index.ts': `export * from './core/a.ts'\nexport * from './pipeline/b.ts'`,
          'src/core/a.ts': '',
          'src/pipeline/b.ts': '',
        },
      ],
      ['time in core/clock.ts', { 'src/core/clock.ts': 'setTimeout(f, Date.now())' }],
      ['chance in core/random.ts', { 'src/core/random.ts': 'Math.random()' }],
      ['an adapter to use a Node module', { 'src/adapters/a.ts': `import 'node:sqlite'` }],
      ['an app to use a package', { 'src/apps/a.ts': `import 'preact'` }],
      ['one door to built-in modules', { 'src/core/a.ts': 'globalThis.process?.getBuiltinModule' }],
      [
        'the same words as names of other things',
        { 'src/policies/a.ts': 'clock.setTimeout(f); const o = { Date: 1 }; o.performance' },
      ],
      ['the words in comments and texts', { 'src/policies/a.ts': `/* Date */ say('setTimeout')` }],
    ]

    it.each(allowed)('%s', (_what, files) => {
      expect(checkArchitecture(new Map(Object.entries(files))).violations).toEqual([])
    })
  })
})

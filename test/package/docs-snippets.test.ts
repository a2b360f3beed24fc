/**
 * Every TypeScript block of the README, the docs and the docstrings compiles by the strictest flags,
 * runs, and shows what its `// =>` marks promise. A test is named after the block's file and line.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { publicNames } from '../support/public-api.ts'
import { markdownFiles, readText, root, sources } from '../support/repository.ts'
import { findSnippets, type Snippet, type SnippetModule, toModule } from '../support/snippets.ts'
import { typeCheck } from '../support/typecheck.ts'

// Inside the repository, so that imports resolve as they do in tests; apart for each run.
const folder = join(root, 'test/.snippets', String(process.pid))

const pages = markdownFiles().map((file): [string, string] => [file, readText(file)])
const snippets = [...pages, ...sources()].flatMap(([file, text]) => findSnippets(file, text))
const executed = snippets.filter((snippet) => snippet.runs)

const known = new Map(
  [
    ['holdfast', 'src/index.ts'] as const,
    ['holdfast/postgres', 'src/adapters/postgres.ts'] as const,
    ['holdfast/stores', 'src/adapters/stores.ts'] as const,
    ['holdfast/testing', 'src/testing/index.ts'] as const,
    ['holdfast/bullmq', 'src/adapters/bullmq/bullmq.ts'] as const,
    ['holdfast/node', 'src/adapters/node/index.ts'] as const,
    ['holdfast/server', 'src/adapters/server/index.ts'] as const,
    ['holdfast/threads', 'src/adapters/threads/index.ts'] as const,
  ].flatMap(([door, source]) =>
    publicNames(sources(), source).map(({ name, kinds }) => {
      const isType = kinds.every((kind) => kind === 'interface' || kind === 'type')
      return [name, { door, isType }] as const
    }),
  ),
)

const modules = new Map<Snippet, SnippetModule | Error>(
  snippets.map((snippet) => {
    // The README is read alone, by newcomers: it imports whatever it uses.
    const names = snippet.file === 'README.md' ? new Map() : known
    try {
      return [snippet, toModule(snippet, names, '../../support/snippet-marks.ts')]
    } catch (error) {
      return [snippet, error as Error]
    }
  }),
)

const fileOf = (snippet: Snippet): string => `${snippets.indexOf(snippet)}.ts`

describe('documentation', () => {
  beforeAll(async () => {
    await mkdir(folder, { recursive: true })
    for (const [snippet, module] of modules) {
      if (module instanceof Error) continue
      await writeFile(join(folder, fileOf(snippet)), module.source)
    }
  })

  afterAll(() => rm(folder, { recursive: true, force: true }))
  afterEach(() => vi.restoreAllMocks())

  it('has snippets in the README, the docs and the docstrings', () => {
    const inPlaces = ['README.md', 'docs/', 'src/'].map((place) => ({
      place,
      found: executed.some((snippet) => snippet.file.startsWith(place)),
    }))

    console.log(`${executed.length} of ${snippets.length} snippets are executed`)
    expect(inPlaces.filter(({ found }) => !found)).toEqual([])
  })

  it('has no TypeScript block under another name, which would not be run', () => {
    const strays = pages.filter(([, text]) => /^[ \t]*```(?:typescript|tsx|mts|cts)\b/m.test(text))

    expect(strays.map(([file]) => file)).toEqual([])
  })

  it('marks at most one snippet in ten as no-run', () => {
    const idle = snippets.filter((snippet) => !snippet.runs)

    const names = idle.map(({ file, line }) => `${file}:${line}`)
    expect(names.length, names.join(' ')).toBeLessThanOrEqual(snippets.length / 10)
  })

  it('has only snippets that compile', async () => {
    const found = await typeCheck(folder, {
      isolatedDeclarations: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
      paths: doors(),
    })

    const problems = found.map(({ file, line, message }) => {
      const snippet = snippets[Number.parseInt(file, 10)]
      const module = snippet && modules.get(snippet)
      if (!module || module instanceof Error) return `${file}:${line} ${message}`
      return `${snippet.file}:${line + module.lineOffset} ${message}`
    })
    expect(problems).toEqual([])
  })

  it.each(executed.map((snippet) => [`${snippet.file}:${snippet.line}`, snippet] as const))(
    'shows the truth at %s',
    async (_where, snippet) => {
      const module = modules.get(snippet)
      if (module instanceof Error) throw module
      vi.spyOn(console, 'log').mockImplementation(() => {})

      await import(/* @vite-ignore */ join(folder, fileOf(snippet)))
    },
  )
})

/** Every door of the package by the name that users write, and the source behind it. */
function doors(): Record<string, string[]> {
  const { exports } = JSON.parse(readText('package.json')) as {
    exports: Record<string, { default?: string } | string>
  }
  return Object.fromEntries(
    Object.entries(exports).flatMap(([door, target]) => {
      if (typeof target === 'string' || target.default === undefined) return []
      const source = target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')
      return [[door.replace('.', 'holdfast'), [join(root, source)]]]
    }),
  )
}

/** Habits that no compiler checks: each pattern has one name in every place, and no debt is left. */
import { describe, expect, it } from 'vitest'
import { lineOf, listFiles, readText, sources } from '../support/repository.ts'
import { globalsNamed, parse, walk } from '../support/syntax.ts'

describe('each pattern', () => {
  it('is found in src/policies', () => {
    expect(patterns().length).toBeGreaterThan(0)
  })

  it.each(patterns())('$name has its test, page, benchmark and row in the README', (pattern) => {
    const { name, files } = pattern

    const missing = files
      .map((file) => file.replace(/\.ts$/, '.test.ts'))
      .filter((test) => !exists(test))
      .map((test) => `the test ${test}`)
    if (!exists(`docs/${name}.md`)) missing.push(`the page docs/${name}.md`)
    const benches = listFiles('bench', (path) => path.startsWith(`bench/${name}.bench.`))
    if (benches.length === 0) missing.push(`the benchmark bench/${name}.bench.js`)
    const row = new RegExp(`^\\|.*\\]\\((?:\\./)?docs/${name}\\.md\\)`, 'm')
    if (!exists('README.md') || !row.test(readText('README.md'))) {
      missing.push(`a row in a table of README.md that links docs/${name}.md`)
    }

    expect(missing, `${name} is without`).toEqual([])
  })
})

describe('each source', () => {
  it('opens with a comment that says what the module is', () => {
    const silent = [...sources()].filter(([, text]) => !text.startsWith('/**'))

    expect(silent.map(([file]) => file)).toEqual([])
  })

  it('has no any and no silenced compiler', () => {
    const found = [...sources()].flatMap(([file, text]) => {
      const lines: string[] = []
      walk(parse(text), (node) => {
        if (node.type === 'TSAnyKeyword') lines.push(`${file}:${lineOf(text, node.start)} any`)
      })
      const silenced = /@ts-(?:ignore|expect-error|nocheck)/.exec(text)
      if (silenced) lines.push(`${file}:${lineOf(text, silenced.index)} ${silenced[0]}`)
      return lines
    })

    expect(found).toEqual([])
  })
})

describe('each unit test', () => {
  const tests = listFiles('src', (path) => path.endsWith('.test.ts'))

  it('does not sleep', () => {
    // The clock itself can only be tested against the machine's time.
    const found = tests.filter((file) => file !== 'src/core/clock.test.ts').flatMap(sleepsIn)

    expect(found).toEqual([])
  })

  it('has titles that state what is, without should', () => {
    const found = [...tests, ...listFiles('test', (path) => path.endsWith('.test.ts'))].flatMap(
      (file) => {
        const titles = /\b(?:it|test)(?:\.\w+)*\(\s*(['"`])(.*?)\1/g
        return [...readText(file).matchAll(titles)]
          .filter(([, , title]) => /\bshould\b/i.test(title ?? ''))
          .filter(([, , title]) => !title?.endsWith('without should'))
          .map(([, , title]) => `${file}: ${title}`)
      },
    )

    expect(found).toEqual([])
  })
})

describe('the repository', () => {
  it('leaves no work behind as a note', () => {
    const note = new RegExp(`\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`)
    const texts = listFiles('.', (path) => /\.(?:ts|mjs|js|md|json|yml)$/.test(path))
    const found = texts.flatMap((file) => {
      const match = note.exec(readText(file))
      return match ? [`${file}: ${match[0]}`] : []
    })

    expect(found).toEqual([])
  })
})

interface Pattern {
  readonly name: string
  readonly files: string[]
}

/**
 * A pattern is a file of src/policies, or a folder when one file was not enough. `retry-rules.ts`
 * beside `retry.ts` is a part of retry: it needs a test of its own, but no page.
 */
function patterns(): Pattern[] {
  const files = listFiles('src/policies', (path) => /(?<!\.test)\.ts$/.test(path))
  const entries = files.map(
    (file) => /^src\/policies\/([^/]+?)(?:\.ts|\/.*)$/.exec(file)?.[1] ?? file,
  )
  const names = [...new Set(entries)]
  const whole = names.filter((name) => !names.some((other) => name.startsWith(`${other}-`)))
  return whole.map((name) => ({
    name,
    files: files.filter((file, index) => {
      const entry = entries[index] ?? ''
      const isFolder = file.includes(`src/policies/${entry}/`)
      return (entry === name || entry.startsWith(`${name}-`)) && !isFolder
    }),
  }))
}

function exists(path: string): boolean {
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.'
  return listFiles(folder, (file) => file === path).length > 0
}

function sleepsIn(file: string): string[] {
  const text = readText(file)
  const timers = globalsNamed(parse(text), new Set(['setTimeout', 'setInterval']))
  const lines = timers.map(({ name, start }) => `${file}:${lineOf(text, start)} names ${name}`)
  return text.includes('timers/promises') ? [...lines, `${file} imports timers/promises`] : lines
}

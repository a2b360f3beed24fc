/** A file that fits in the head: docstrings counted, because they are read too. */
import { describe, expect, it } from 'vitest'
import { sources } from '../support/repository.ts'

const mostLines = 300
const medianLines = 120

describe('file size', () => {
  const sizes = [...sources()]
    .map(([file, text]) => ({ file, lines: text.trimEnd().split('\n').length }))
    .sort((a, b) => a.lines - b.lines)
  const median = sizes[Math.floor(sizes.length / 2)]?.lines ?? 0

  it(`is at most ${mostLines} lines for each source`, () => {
    const largest = sizes.slice(-5).map(({ file, lines }) => `${lines} ${file}`)

    console.log(`${sizes.length} files, median ${median} lines; largest:\n${largest.join('\n')}`)
    expect(sizes.filter(({ lines }) => lines > mostLines)).toEqual([])
  })

  it(`is at most ${medianLines} lines at the median`, () => {
    expect(median).toBeLessThanOrEqual(medianLines)
  })
})

/** Every relative link between the pages leads somewhere, down to the heading. */
import { existsSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { markdownFiles, readText, root } from '../support/repository.ts'

describe('links', () => {
  it.each(markdownFiles())('of %s resolve', (page) => {
    expect(brokenLinks(page, readText(page))).toEqual([])
  })

  it('that lead nowhere are found', () => {
    const text = '[a](gone.md) [b](README.md#gone) [c](https://example.com) ![d](gone.svg)'

    expect(brokenLinks('CONTRIBUTING.md', text)).toEqual(['gone.md', 'README.md#gone', 'gone.svg'])
  })
})

function brokenLinks(page: string, text: string): string[] {
  const prose = withoutCode(text)
  const links = [
    ...prose.matchAll(/\]\(([^()\s]+(?:\([^()]*\))?)(?:\s+"[^"]*")?\)/g),
    ...prose.matchAll(/^\[[^\]]+\]:\s+(\S+)/gm),
  ].map(([, link]) => link ?? '')
  return links.filter((link) => {
    if (/^[a-z][a-z+.-]*:/.test(link)) return false
    const [path = '', heading] = link.split('#')
    const target = path === '' ? page : posix.join(posix.dirname(page), decodeURI(path))
    if (!existsSync(join(root, target))) return true
    if (heading === undefined || !target.endsWith('.md')) return false
    return !headingsOf(target === page ? text : readText(target)).includes(heading)
  })
}

/** Anchors as the usual Markdown hosts make them. */
function headingsOf(text: string): string[] {
  const seen = new Map<string, number>()
  return [...withoutCode(text, false).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)].map(([, title = '']) => {
    const slug = title
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-')
    const times = seen.get(slug) ?? 0
    seen.set(slug, times + 1)
    return times === 0 ? slug : `${slug}-${times}`
  })
}

function withoutCode(text: string, inline = true): string {
  const blocks = text.replace(/^[ \t]*```[\s\S]*?^[ \t]*```/gm, '').replace(/<!--[\s\S]*?-->/g, '')
  return inline ? blocks.replace(/`[^`\n]*`/g, '') : blocks
}

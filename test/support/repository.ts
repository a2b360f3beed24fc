/** The repository as the guards see it: which files there are and what stands in them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root: string = fileURLToPath(new URL('../../', import.meta.url))

const never = new Set(['node_modules', 'dist', 'coverage'])

/** Repository paths, with forward slashes and sorted, of the files below `folder` that `keep` wants. */
export function listFiles(folder: string, keep: (path: string) => boolean): string[] {
  const found: string[] = []
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) {
        if (!never.has(entry.name) && !entry.name.startsWith('.')) visit(path)
      } else {
        const name = relative(root, path).split(sep).join('/')
        if (keep(name)) found.push(name)
      }
    }
  }
  try {
    visit(join(root, folder))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return found.sort()
}

export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

/** The library's own sources, tests beside them left out: path to text. */
export function sources(): Map<string, string> {
  const files = listFiles('src', (path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  return new Map(files.map((path) => [path, readText(path)]))
}

export function markdownFiles(): string[] {
  const atRoot = listFiles('.', (path) => path.endsWith('.md') && !path.includes('/'))
  const below = ['docs', 'bench', 'examples'].flatMap((folder) =>
    listFiles(folder, (path) => path.endsWith('.md')),
  )
  return [...atRoot, ...below]
}

export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

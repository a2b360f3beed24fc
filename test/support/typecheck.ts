/** Runs the compiler over a folder of TypeScript and returns what it says, file by file. */
import { writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { runIn } from './packed.ts'
import { root } from './repository.ts'

export interface Diagnostic {
  /** Relative to the folder. */
  readonly file: string
  readonly line: number
  readonly message: string
}

/** Checks every file of `folder` by the project's own flags, changed by `compilerOptions`. */
export async function typeCheck(
  folder: string,
  compilerOptions: Readonly<Record<string, unknown>>,
): Promise<Diagnostic[]> {
  const base = relative(folder, join(root, 'tsconfig.json'))
  const config = { extends: base, compilerOptions, include: ['*.ts'] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))

  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { code, stdout, stderr } = await runIn(folder, process.execPath, [tsc, '--pretty', 'false'])
  const found: Diagnostic[] = []
  for (const text of stdout.split('\n')) {
    const match = /^(.+?)\((\d+),\d+\): (.+)$/.exec(text)
    const [, file, line, message] = match ?? []
    if (file && line && message) found.push({ file, line: Number(line), message })
    else if (text.startsWith(' ') && found.length > 0) {
      const last = found[found.length - 1] as Diagnostic
      found[found.length - 1] = { ...last, message: `${last.message}\n${text}` }
    }
  }
  if (code !== 0 && found.length === 0) throw new Error(`tsc failed: ${stdout}${stderr}`)
  return found
}

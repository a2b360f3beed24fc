/** Runs a piece of JavaScript in a Node process of its own: what fake timers cannot show. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { root } from './repository.ts'

/** The library in one file, from its sources as they are now. */
export interface Bundle {
  readonly url: string
  remove(): Promise<void>
}

/** `source`: another door than the front one. */
export async function bundle(source = 'src/index.ts'): Promise<Bundle> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-child-'))
  const outfile = join(folder, 'holdfast.mjs')
  const entry = join(root, source)
  await build({ entryPoints: [entry], outfile, bundle: true, format: 'esm', target: 'es2022' })
  return {
    url: pathToFileURL(outfile).href,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** From the last statement of the script to the end of the process, in ms; NaN if it never came so far. */
  readonly lingered: number
}

/** Runs `script` as a module, with everything of the library as `holdfast`; kills it after half a minute. */
export async function runScript({ url }: Bundle, script: string): Promise<Ended> {
  const text = `
    import * as holdfast from ${JSON.stringify(url)}
    let done = NaN
    process.on('exit', () => process.stdout.write('\\nlingered ' + (performance.now() - done)))
    const hang = () => new Promise(() => {})
    const down = async () => { throw new Error('down') }
    const tell = (value) => console.log(value?.code ?? value?.message ?? value)
    ${script}
    done = performance.now()`
  // Default flags: what a test runner sets for itself is not for the child.
  const env = { ...process.env, NODE_OPTIONS: '' }
  const child = spawn(process.execPath, ['--input-type=module', '--eval', text], { env })
  const killer = setTimeout(() => child.kill('SIGKILL'), 30_000)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data) => {
    stdout += data
  })
  child.stderr.on('data', (data) => {
    stderr += data
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearTimeout(killer)
  const [told = '', lingered = 'NaN'] = stdout.split('\nlingered ')
  return { code, stdout: told.trim(), stderr, lingered: Number(lingered) }
}

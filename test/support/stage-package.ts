/**
 * Builds the package afresh as its users get it: packed by npm, unpacked into the `node_modules`
 * of an empty project. Once for all package tests, and untouched by whatever lies in `dist`.
 */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'
import { root } from './repository.ts'

const run = promisify(execFile)

declare module 'vitest' {
  export interface ProvidedContext {
    /** An empty project that has installed holdfast. */
    readonly consumer: string
    /** The tarball as npm would publish it. */
    readonly tarball: string
    /** Why neither of them exists: what the compiler or npm said. */
    readonly staging: string
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const workspace = await mkdtemp(join(tmpdir(), 'holdfast-package-'))
  const consumer = join(workspace, 'consumer')
  const staged = join(workspace, 'staged')
  const modules = join(consumer, 'node_modules')
  let tarball = ''
  let problem = ''
  try {
    await mkdir(modules, { recursive: true })
    await writeFile(join(consumer, 'package.json'), '{ "name": "consumer", "private": true }\n')
    await mkdir(staged)
    for (const entry of ['package.json', 'src', 'docs', 'README.md', 'CHANGELOG.md', 'LICENSE']) {
      await cp(join(root, entry), join(staged, entry), { recursive: true }).catch(missing)
    }
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    await run(process.execPath, [
      tsc,
      ...['-p', join(root, 'tsconfig.build.json'), '--outDir', join(staged, 'dist')],
    ])
    await run('npm', ['pack', '--ignore-scripts', '--pack-destination', workspace], { cwd: staged })
    const packed = (await readdir(workspace)).find((name) => name.endsWith('.tgz')) ?? ''
    tarball = join(workspace, packed)
    await run('tar', ['-xzf', tarball, '-C', workspace])
    await rename(join(workspace, 'package'), join(modules, 'holdfast'))
  } catch (error) {
    const { stdout, message } = error as Error & { stdout?: string }
    problem = [message, stdout].filter(Boolean).join('\n')
  }
  project.provide('consumer', consumer)
  project.provide('tarball', tarball)
  project.provide('staging', problem)
  return () => rm(workspace, { recursive: true, force: true })
}

function missing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

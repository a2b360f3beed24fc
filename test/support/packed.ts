/** What package tests ask of the packed package; fails clearly where it could not be built. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { inject } from 'vitest'

export interface Packed {
  /** An empty project whose `node_modules` hold the package alone. */
  readonly consumer: string
  /** The installed package. */
  readonly folder: string
  readonly tarball: string
}

export function packed(): Packed {
  const problem = inject('staging')
  if (problem) throw new Error(`The package could not be built:\n${problem}`)
  const consumer = inject('consumer')
  return { consumer, folder: join(consumer, 'node_modules/holdfast'), tarball: inject('tarball') }
}

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs this Node in the consumer's project and waits for its end. */
export function runNode(args: readonly string[]): Promise<Ended> {
  return runIn(packed().consumer, process.execPath, args)
}

export function runIn(folder: string, command: string, args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1', FORCE_COLOR: undefined }
  return new Promise((resolve) => {
    execFile(command, args, { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({
        code: typeof error?.code === 'number' ? error.code : error ? 1 : 0,
        stdout,
        stderr,
      })
    })
  })
}

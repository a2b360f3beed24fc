/** The shop as a child process: in a process group of its own, as a terminal starts it. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, vi } from 'vitest'

const shop = new URL('../../examples/shop/', import.meta.url)
const main = fileURLToPath(new URL('main.js', shop))

const groups = new Set<number>()
const folders = new Set<string>()
const undo: (() => void)[] = []

/** After each test: whatever it left, fails or not, is gone. */
export function clearAll(): void {
  for (const group of groups) if (isAnyoneIn(group)) process.kill(-group, 'SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  for (const each of undo.splice(0)) each()
  groups.clear()
  folders.clear()
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Show {
  /** Of the process, and of its group. */
  readonly pid: number
  readonly ended: Promise<Ended>
  /** What was printed, as soon as `text` is in it. */
  readonly until: (text: string) => Promise<string>
  readonly hangUp: () => void
  /** What is in its folder for temporary files. */
  readonly files: () => string[]
}

/** Starts the shop, with a folder for temporary files of its own. */
export function start(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Show {
  const folder = mkdtempSync(join(tmpdir(), 'shop-test-'))
  // The database does not run as root, and must get there.
  chmodSync(folder, 0o755)
  folders.add(folder)
  const { DATABASE_URL: _database, REDIS_URL: _redis, ...inherited } = process.env
  const child = spawn(process.execPath, [main, ...args], {
    detached: true,
    env: { ...inherited, TMPDIR: folder, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const pid = child.pid ?? 0
  groups.add(pid)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  const until = async (text: string): Promise<string> => {
    while (!stdout.includes(text)) {
      if (child.exitCode !== null) throw new Error(`it ended early:\n${stdout}${stderr}`)
      await sleep(20)
    }
    return stdout
  }
  return {
    pid,
    ended,
    until,
    hangUp: () => child.stdout.destroy(),
    files: () => readdirSync(folder),
  }
}

interface Server {
  readonly url: string
  readonly port: number
}

/** A PostgreSQL that was there before the shop. */
export async function startServer(): Promise<Server> {
  const file = new URL('services/postgres.js', shop).href
  const { startPostgres, clearAway } = (await import(file)) as {
    startPostgres: (options: {
      onHold: (held: unknown) => void
      onEnd: () => void
    }) => Promise<Server>
    clearAway: (held: unknown) => void
  }
  let held: unknown
  undo.push(() => clearAway(held))
  const onHold = (next: unknown): void => {
    held = next
  }
  return await startPostgres({ onHold, onEnd: () => {} })
}

export function numbersIn(text: string, pattern: RegExp): number[] {
  return [...text.matchAll(pattern)].map(([, digits]) => Number(digits))
}

export function isAnyoneIn(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch {
    return false
  }
}

/** Orphans stay listed until the system has noticed their end, which may take it a while. */
export async function gone(group: number): Promise<void> {
  await vi.waitFor(() => expect(isAnyoneIn(group)).toBe(false), { timeout: 20_000, interval: 50 })
}

export async function openPorts(ports: readonly number[]): Promise<number[]> {
  const open = await Promise.all(ports.map(isOpen))
  return ports.filter((_port, index) => open[index])
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

/** What has to be there before anything can be measured: the peers, the build, the Node.js to run on. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = (/** @type {string} */ path) => fileURLToPath(new URL(`../${path}`, import.meta.url))

/** Installs the peers when they are absent or not those of the lockfile. */
export function installPeers() {
  if (installed()) return
  console.error('bench: installing the peers, once')
  const { status, error } = spawnSync(
    'npm',
    ['ci', '--no-fund', '--no-audit', '--loglevel=error'],
    {
      cwd: here(''),
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: process.platform === 'win32',
    },
  )
  if (error) throw error
  if (status !== 0) throw new Error(`npm ci in bench/ ended with ${status}`)
}

function installed() {
  const { packages } = JSON.parse(readFileSync(here('package-lock.json'), 'utf8'))
  return Object.entries(packages).every(([path, { version, optional }]) => {
    if (path === '' || optional) return true
    return existsSync(here(path)) && versionAt(here(`${path}/package.json`)) === version
  })
}

/** @param {string} path */
function versionAt(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).version
  } catch {
    return undefined
  }
}

export function requireBuild() {
  if (existsSync(here('../dist/index.js'))) return
  throw new Error(
    'dist/ is missing: `npm run bench` builds it first, `npm run build` does so alone',
  )
}

/**
 * The Node.js that the benchmarks run on: the pinned one where its package could be installed and
 * runs, the current one elsewhere.
 *
 * @param {string | undefined} wanted A path, or `current`.
 * @returns {{ path: string, version: string }}
 */
export function pickNode(wanted) {
  const pinned = here('node_modules/node-runtime/bin/node')
  const candidates = wanted === undefined ? [pinned, process.execPath] : [wanted]
  for (const candidate of candidates) {
    const path = candidate === 'current' ? process.execPath : candidate
    const { status, stdout } = spawnSync(path, ['--print', 'process.version'], { encoding: 'utf8' })
    if (status === 0) return { path, version: stdout.trim() }
  }
  throw new Error(`${wanted} is not a Node.js that runs here`)
}

/**
 * The version to show beside a subject.
 *
 * @param {string} subject
 * @param {string} nodeVersion
 * @returns {string}
 */
export function versionOf(subject, nodeVersion) {
  if (subject === 'bare' || subject.startsWith('floor:')) return nodeVersion
  const path = subject === 'holdfast' ? '../package.json' : `node_modules/${subject}/package.json`
  return versionAt(here(path)) ?? 'unknown'
}

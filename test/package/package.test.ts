/** What is published, and that every consumer can load it: ESM, CommonJS and TypeScript. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { describe, expect, it } from 'vitest'
import { packed, runIn, runNode } from '../support/packed.ts'
import { readText, root, sources } from '../support/repository.ts'

interface Manifest {
  readonly dependencies?: Record<string, string>
  readonly peerDependencies?: Record<string, string>
  readonly scripts: Record<string, string>
  readonly exports: Record<string, unknown>
  readonly [key: string]: unknown
}

const manifest = JSON.parse(readText('package.json')) as Manifest

describe('the package', () => {
  it('has no runtime dependencies', () => {
    expect(Object.keys(manifest.dependencies ?? {})).toEqual([])
    expect(manifest['optionalDependencies']).toBeUndefined()
    expect(manifest.scripts).not.toHaveProperty('postinstall')
  })

  it('is ESM only, free of side effects, and says which Node it needs', () => {
    expect(manifest).toMatchObject({
      name: 'holdfast',
      license: 'MIT',
      type: 'module',
      sideEffects: false,
      engines: { node: '>=20.19.0' },
    })
  })

  it('publishes the build with its types, sources and maps, and nothing else', () => {
    const listing = execFileSync('tar', ['-tzf', packed().tarball], { encoding: 'utf8' })
    const files = listing
      .trim()
      .split('\n')
      .map((line) => line.replace(/^package\//, ''))

    const built = [...sources().keys()].flatMap((source) => {
      const stem = source.replace(/^src\//, 'dist/').replace(/\.ts$/, '')
      return [source, `${stem}.js`, `${stem}.js.map`, `${stem}.d.ts`, `${stem}.d.ts.map`]
    })
    const pages = files.filter((file) => /^docs\/[\w/-]+\.(?:md|svg)$/.test(file))
    const expected = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', ...built, ...pages]
    expect(files.sort()).toEqual(expected.sort())
  })

  it('satisfies publint at its strictest', async () => {
    const { messages } = await publint({ pkgDir: packed().folder, strict: true, pack: false })

    const pkg = JSON.parse(readFileSync(join(packed().folder, 'package.json'), 'utf8'))
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([])
  })

  it('has types that every kind of TypeScript project resolves', async () => {
    const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js')
    const args = [attw, packed().tarball, '--profile', 'esm-only', '--format', 'ascii']
    const { code, stdout, stderr } = await runIn(root, process.execPath, args)

    expect(code, stdout + stderr).toBe(0)
  })

  const doors = Object.keys(manifest.exports).filter((door) => door !== './package.json')

  it.each(doors)('is imported by name: %s', async (door) => {
    const name = door.replace('.', 'holdfast')
    const script = `import * as all from '${name}'; console.log(Object.keys(all).length > 0)`
    const result = await runNode(['--input-type=module', '--eval', script])

    expect(result).toEqual({ code: 0, stdout: 'true\n', stderr: '' })
  })

  it.each(doors)('is required without a warning: %s', async (door) => {
    const name = door.replace('.', 'holdfast')
    const script = `console.log(Object.keys(require('${name}')).length > 0)`
    const result = await runNode(['--eval', script])

    expect(result).toEqual({ code: 0, stdout: 'true\n', stderr: '' })
  })

  it('lets a process that only imported it end at once', async () => {
    const script = `await import('holdfast'); await import('holdfast/testing')`
    const result = await runNode(['--input-type=module', '--eval', script])

    expect(result).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it('records no download address in its lockfiles', () => {
    for (const lockfile of ['package-lock.json', 'bench/package-lock.json']) {
      expect(readText(lockfile)).not.toMatch(/"resolved":/)
    }
  })
})

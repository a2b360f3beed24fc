/** What a user pays for an import in bytes, minified and compressed; and that it needs no platform. */
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import { packed } from '../support/packed.ts'
import { publicNames } from '../support/public-api.ts'
import { sources } from '../support/repository.ts'

/**
 * One policy with what runs it: two thirds of this are the engine, the statistics, the errors, the
 * option checks and the clock, which every policy shares and which are paid for once. The largest is the
 * circuit breaker, which brings both sliding windows along, and the stale cache with its memory.
 */
const policyCeiling = 18_000

/** Everything behind the front door. */
const rootCeiling = 68_000

describe('bundle size', () => {
  const policies = publicNames(sources(), 'src/index.ts').filter(
    (one) => one.file.startsWith('src/policies/') && one.kinds.includes('function'),
  )

  it('knows the policies', () => {
    expect(policies.length).toBeGreaterThan(0)
  })

  it.each(policies)('of $name alone stays under its ceiling', async ({ name }) => {
    const size = await bundled(`export { ${name} } from 'holdfast'`)

    console.log(`${name} ${size} B of ${policyCeiling} B`)
    expect(size).toBeLessThanOrEqual(policyCeiling)
  })

  it('of the whole front door stays under its ceiling', async () => {
    const size = await bundled(`export * from 'holdfast'`)

    console.log(`holdfast ${size} B of ${rootCeiling} B`)
    expect(size).toBeLessThanOrEqual(rootCeiling)
  })

  it('is nothing for an import that is not used', async () => {
    expect(await bundled(`import 'holdfast'`)).toBeLessThan(100)
  })
})

/** Bytes of a bundle for no platform in particular: a Node module in it would fail the build. */
async function bundled(contents: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: packed().consumer },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2023',
    logLevel: 'silent',
  })
  return gzipSync(outputFiles[0]?.contents ?? new Uint8Array(), { level: 9 }).length
}

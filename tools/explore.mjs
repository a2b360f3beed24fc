/**
 * The tests that play random histories, again and again with new seeds:
 * `npm run test:explore`, or `npm run test:explore -- 50 test/properties/queue` for rounds and files.
 * Ends with 1 if any failed, and with the seeds that play it again.
 */
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))

const [rounds = '10', ...wanted] = process.argv.slice(2)
if (!/^[1-9]\d*$/.test(rounds)) {
  console.error(`rounds must be a number above 0, but was ${rounds}`)
  process.exit(2)
}

const files = ['src', 'test']
  .flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
      .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
      .filter((file) => file.endsWith('.test.ts')),
  )
  .filter((file) => /from '.*\bseed\.ts'/.test(readFileSync(`${root}${file}`, 'utf8')))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))

const failed = []
for (let round = 1; round <= Number(rounds); round++) {
  const seed = String(randomInt(2 ** 31))
  console.log(`\n--- round ${round} of ${rounds}: SEED=${seed}`)
  const vitest = [`${root}node_modules/vitest/vitest.mjs`, 'run', ...files]
  const env = { ...process.env, SEED: seed }
  const { status } = spawnSync(process.execPath, vitest, { cwd: root, env, stdio: 'inherit' })
  if (status !== 0) failed.push(seed)
}

if (failed.length > 0) {
  console.error(`\nexplore: failed with ${failed.map((seed) => `SEED=${seed}`).join(', ')}`)
  process.exitCode = 1
} else console.log('\nexplore: all passed')

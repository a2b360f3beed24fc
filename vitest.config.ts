import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig, type ViteUserConfig } from 'vitest/config'
import { decorators } from './test/support/decorators-plugin.ts'
import { SummaryReporter } from './test/support/summary-reporter.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

// Tests import the library by the names that users write, and run its sources.
const shared: ViteUserConfig = {
  plugins: [decorators()],
  resolve: {
    alias: [
      { find: /^holdfast\/testing$/, replacement: here('./src/testing/index.ts') },
      { find: /^holdfast\/bullmq$/, replacement: here('./src/adapters/bullmq/bullmq.ts') },
      { find: /^holdfast\/undici$/, replacement: here('./src/adapters/undici/index.ts') },
      { find: /^holdfast\/axios$/, replacement: here('./src/adapters/axios.ts') },
      { find: /^holdfast\/got$/, replacement: here('./src/adapters/got.ts') },
      { find: /^holdfast\/ky$/, replacement: here('./src/adapters/ky.ts') },
      { find: /^holdfast\/fetch$/, replacement: here('./src/adapters/fetch/index.ts') },
      { find: /^holdfast\/postgres$/, replacement: here('./src/adapters/postgres.ts') },
      { find: /^holdfast\/node$/, replacement: here('./src/adapters/node/index.ts') },
      { find: /^holdfast\/threads$/, replacement: here('./src/adapters/threads/index.ts') },
      { find: /^holdfast\/server$/, replacement: here('./src/adapters/server/index.ts') },
      { find: /^holdfast\/sqlite$/, replacement: here('./src/adapters/sqlite/sqlite.ts') },
      { find: /^holdfast\/stores$/, replacement: here('./src/adapters/stores.ts') },
      { find: /^holdfast$/, replacement: here('./src/index.ts') },
    ],
  },
}

// What takes processes, servers or a build; everything else is a unit test and needs none of them.
const slow: string[] = ['test/package/**', 'test/integration/**', 'test/examples/**']

// Real servers, processes and time, on a machine of CI that is busy with other things too: what fails
// there once and then passes is named at the end of the run, and does not stop it. Histories are seeded:
// one that fails fails again.
const retry = process.env['CI'] ? 2 : 0

// How long a test asks again for what must come: a machine that is busy with other things is late.
const expect = { poll: { timeout: 20_000 } }

const story = 'test/examples/shop.test.ts'
const overload = 'test/integration/overload.test.ts'

const config: ViteUserConfig = defineConfig({
  test: {
    reporters: ['default', new SummaryReporter()],
    // Many tests wait for servers and processes: on two cores, one at a time would leave one idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: slow,
          // Ends what hangs; a machine that is busy with other things is no reason to fail.
          testTimeout: 60_000,
          expect,
          retry,
        },
      },
      {
        ...shared,
        test: {
          name: 'types',
          include: [],
          // What is wrong outside these files is for `npm run types` to say.
          typecheck: {
            enabled: true,
            only: true,
            include: ['test/types/**/*.test-d.ts'],
            ignoreSourceErrors: true,
          },
        },
      },
      {
        ...shared,
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          globalSetup: ['test/support/stage-package.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/examples/**/*.test.ts'],
          exclude: [story, overload],
          expect,
          retry,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'story',
          include: [story],
          retry,
          // After all others: it keeps promises about time, which nobody can who is starved of it.
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'overload',
          include: [overload],
          retry,
          // Alone, for the same reason.
          sequence: { groupOrder: 2 },
          testTimeout: 60_000,
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/**/*.test.ts', 'src/**/index.ts'],
      reporter: ['text', 'json-summary'],
      thresholds: {
        'src/core/**': { branches: 98 },
        'src/policies/**': { branches: 98 },
      },
    },
  },
})

export default config

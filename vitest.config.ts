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
      { find: /^holdfast\/postgres$/, replacement: here('./src/adapters/postgres.ts') },
      { find: /^holdfast$/, replacement: here('./src/index.ts') },
    ],
  },
}

// What takes processes, servers or a build; everything else is a unit test and needs none of them.
const slow: string[] = ['test/package/**', 'test/integration/**', 'test/examples/**']

const config: ViteUserConfig = defineConfig({
  test: {
    reporters: ['default', new SummaryReporter()],
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: slow,
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
          testTimeout: 60_000,
          hookTimeout: 60_000,
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

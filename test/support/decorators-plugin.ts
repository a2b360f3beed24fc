/**
 * Lowers decorators in test files, which vitest's own transform leaves in place or lowers the old way.
 * A file named `*.legacy-decorators.ts` (or `.test.ts`) is compiled by the legacy convention
 * (`experimentalDecorators`), every other file that uses a decorator by the standard one.
 */
import { transform } from 'esbuild'
import type { Plugin } from 'vitest/config'

export type DecoratorConvention = 'standard' | 'legacy'

/** Compiles TypeScript source with decorators to what Node 20 can run. */
export async function lowerDecorators(
  source: string,
  convention: DecoratorConvention,
  file = 'decorators.ts',
): Promise<{ code: string; map: string }> {
  return await transform(source, {
    loader: 'ts',
    format: 'esm',
    target: 'es2022',
    sourcefile: file,
    sourcemap: true,
    tsconfigRaw: {
      compilerOptions: {
        experimentalDecorators: convention === 'legacy',
        useDefineForClassFields: true,
        verbatimModuleSyntax: true,
      },
    },
  })
}

const ownTypeScript = /\/(?:src|test|examples)\/(?!.*node_modules).*\.ts$/
const usesDecorator = /^\s*@[A-Za-z_$][\w$.]*(?:\(|\s)/m
const legacyName = /\.legacy-decorators(?:\.test)?\.ts$/

export function decorators(): Plugin {
  return {
    name: 'holdfast:decorators',
    enforce: 'pre',
    async transform(code, id) {
      const file = id.split('?')[0] ?? id
      if (!ownTypeScript.test(file) || !usesDecorator.test(code)) return null
      return await lowerDecorators(code, legacyName.test(file) ? 'legacy' : 'standard', file)
    },
  }
}

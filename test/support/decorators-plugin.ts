/**
 * Lowers decorators in tests, which vitest's own transform leaves in place or lowers the old way.
 * A file named `*.legacy-decorators.ts` (or `.test.ts`) is compiled by the legacy convention
 * (`experimentalDecorators`), every other file that uses a decorator by the standard one.
 */
import { transform } from 'esbuild'
import type { Plugin } from 'vitest/config'
import { parse, walk } from './syntax.ts'

export type DecoratorConvention = 'standard' | 'legacy'

const ownTypeScript = /\/(?:src|test|examples)\/(?!.*node_modules).*\.ts$/
const legacyName = /\.legacy-decorators(?:\.test)?\.ts$/

export function decorators(): Plugin {
  return {
    name: 'holdfast:decorators',
    enforce: 'pre',
    async transform(code, id) {
      const file = id.split('?')[0] ?? id
      if (!ownTypeScript.test(file) || !code.includes('@') || !usesDecorators(code)) return null
      const convention = legacyName.test(file) ? 'legacy' : 'standard'
      return await lower(code, convention, { format: 'esm', sourcefile: file })
    },
  }
}

/**
 * Runs a piece of TypeScript that exports something, compiled by the given decorator convention,
 * with `scope` as its variables: one text, proven under both conventions.
 */
export async function runDecorated(
  source: string,
  convention: DecoratorConvention,
  scope: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const { code } = await lower(source, convention, { format: 'iife', globalName: 'exported' })
  const body = new Function(...Object.keys(scope), `${code}\nreturn exported`)
  return body(...Object.values(scope)) as Record<string, unknown>
}

async function lower(
  source: string,
  convention: DecoratorConvention,
  output: { format: 'esm' | 'iife'; sourcefile?: string; globalName?: string },
): Promise<{ code: string; map: string }> {
  return await transform(source, {
    ...output,
    loader: 'ts',
    target: 'es2022',
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

function usesDecorators(code: string): boolean {
  let found = false
  walk(parse(code), (node) => {
    const list = node['decorators']
    if (Array.isArray(list) && list.length > 0) found = true
  })
  return found
}

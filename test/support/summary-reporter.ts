/**
 * Closes a test run with the plain line `N passed, N failed, N skipped`, after everything else.
 * With HOLDFAST_TEST_TOTALS naming a file, the totals go there instead, so that a larger run
 * can add its own checks and print one line for all.
 */
import { writeFileSync, writeSync } from 'node:fs'
import type { Reporter, SerializedError, TestModule } from 'vitest/node'

export interface Totals {
  passed: number
  failed: number
  skipped: number
}

export class SummaryReporter implements Reporter {
  readonly #totals: Totals = { passed: 0, failed: 0, skipped: 0 }
  #flaky: readonly string[] = []

  onInit(): void {
    // Coverage is reported, and its thresholds judged, after the tests: only the exit knows the end.
    process.once('exit', (code) => this.#close(code))
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    Object.assign(this.#totals, countTests(modules))
    this.#totals.failed += unhandledErrors.length
    this.#flaky = modules.flatMap((module) => namesOfFlaky(module))
  }

  #close(code: number): void {
    const { passed, skipped } = this.#totals
    // A run that failed for another reason than a test (a threshold, no tests at all) has failed once.
    const failed = this.#totals.failed || (code === 0 ? 0 : 1)
    for (const name of this.#flaky) writeSync(1, `passed at another try, mend it: ${name}\n`)
    const file = process.env['HOLDFAST_TEST_TOTALS']
    if (file) writeFileSync(file, `${passed} ${failed} ${skipped}\n`)
    else writeSync(1, `\n${passed} passed, ${failed} failed, ${skipped} skipped\n`)
  }
}

/** The tests that failed and then passed: no failure of the run, and nothing to keep quiet about. */
function namesOfFlaky(module: TestModule): string[] {
  const flaky = [...module.children.allTests()].filter((test) => test.diagnostic()?.flaky)
  return flaky.map((test) => `${module.relativeModuleId} > ${test.fullName}`)
}

/** Counts tests by their end, and everything that broke outside a test as one failure each. */
export function countTests(modules: readonly TestModule[]): Totals {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 }
  for (const module of modules) {
    totals.failed += module.errors().length
    for (const suite of module.children.allSuites()) totals.failed += suite.errors().length
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed') totals.passed++
      else if (state === 'failed') totals.failed++
      else totals.skipped++
    }
  }
  return totals
}

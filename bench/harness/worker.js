/**
 * The process that measures one work of one suite and reports to its parent.
 *
 * `worker.js <suite> <work> <time|bytes|held> <plan as JSON> [case number]`
 */
import { allocated, held } from './bytes.js'
import { measure } from './measure.js'

const [suite, id, mode, planText, caseText] = process.argv.slice(2)
/** @type {import('./types.js').Plan} */
const plan = JSON.parse(planText)

process.on('disconnect', () => process.exit(1))

try {
  /** @type {{ works: import('./types.js').Work[] }} */
  const { works } = await import(new URL(`../${suite}.bench.js`, import.meta.url).href)
  if (mode === 'list') {
    report(works.map(({ id, title, bytes, kind, rate }) => ({ id, title, bytes, kind, rate })))
  } else {
    const work = works.find((each) => each.id === id)
    if (!work) throw new Error(`no work ${id} in suite ${suite}`)
    if (mode === 'time') report(await measure(work, plan))
    else if (mode === 'bytes') report(await allocated(work, plan))
    else report(await heldBy(work, Number(caseText)))
  }
} catch (error) {
  console.error(error)
  process.exit(1)
}

/**
 * @param {import('./types.js').Work} work
 * @param {number} number
 */
async function heldBy(work, number) {
  const cases = await work.setup(plan)
  const subject = cases[number]
  const { subject: name, variant } = subject
  return { cases: cases.length, subject: name, variant, bytes: await held(subject) }
}

/** @param {unknown} outcome */
function report(outcome) {
  // Peers leave timers behind: the process ends when its report has been sent.
  process.send?.(outcome, () => process.exit(0))
}

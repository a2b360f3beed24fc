/**
 * The loops that are measured. Each is source text, compiled anew for every case: two cases that
 * shared a loop would share its type feedback, and the second would pay for the first.
 *
 * A loop is `async (turns) => outcome of the last turn`.
 */

/** One call after the other. */
const sequential = (/** @type {string} */ call) => `
  let last
  for (let turn = 0; turn < turns; turn++) last = await ${call}
  return last`

/** One loan after the other, each given back at once. */
const lent = (/** @type {string} */ call) => `
  let last
  for (let turn = 0; turn < turns; turn++) {
    last = await ${call}
    back(last)
  }
  return last`

/** One call after the other, each of them rejected, the rejection caught. */
const caught = (/** @type {string} */ call) => `
  let last
  for (let turn = 0; turn < turns; turn++) {
    try {
      await ${call}
      last = undefined
    } catch (error) {
      last = error
    }
  }
  return last`

/** One call after the other, and a turn of the event loop after every few: timers and clocks move. */
const inTurns = (/** @type {string} */ call) => `
  let last
  for (let turn = 0; turn < turns; turn++) {
    for (let k = 0; k < many; k++) last = await ${call}
    await turnOfTheLoop()
  }
  return last`

/** Many calls started together. `k` is the number of the call, `many` how many there are. */
const together = (/** @type {string} */ call) => `
  let last
  for (let turn = 0; turn < turns; turn++) {
    const calls = new Array(many)
    for (let k = 0; k < many; k++) calls[k] = ${call}
    last = await Promise.all(calls)
  }
  return last`

/** Many calls in flight at the same time: none settles before all have been started. */
const inFlight = (/** @type {string} */ call) => `
  let sum = 0
  for (let turn = 0; turn < turns; turn++) {
    const calls = new Array(many)
    for (let k = 0; k < many; k++) calls[k] = ${call}
    settle()
    sum = 0
    for (let k = 0; k < many; k++) sum += await calls[k]
  }
  return sum`

/** Lanes that each send one request after the other. */
const lanes = (/** @type {string} */ call) => `
  let sum = 0
  const lane = async () => {
    for (let k = 0; k < perLane; k++) {
      const one = await ${call}
      sum += one
    }
  }
  for (let turn = 0; turn < turns; turn++) {
    sum = 0
    const running = new Array(width)
    for (let k = 0; k < width; k++) running[k] = lane()
    await Promise.all(running)
  }
  return sum`

/** @type {Record<string, (call: string) => string>} */
const loops = { sequential, lent, caught, inTurns, together, inFlight, lanes }

let compiled = 0

/**
 * @param {string} loop
 * @param {import('./types.js').Case} subject
 * @returns {(turns: number) => Promise<unknown>}
 */
export function compile(loop, subject) {
  const body = loops[loop](subject.call)
  // The number makes every text unique: equal texts may share their compiled code.
  const source = `return async function loop${compiled++}(turns) {${body}\n}`
  return new Function(...Object.keys(subject.scope), source)(...Object.values(subject.scope))
}

/**
 * The shapes that suites and harness share.
 *
 * A suite is a file `<name>.bench.js` that exports `works`. Each work is measured in a process of
 * its own, so that the call sites of one library never carry what another work taught them.
 *
 * @typedef {object} Case One subject doing the work of a table.
 * @property {string} subject `bare`, `holdfast`, `floor:…`, or the package name of a peer.
 * @property {string} [variant] Which options, where one subject appears more than once.
 * @property {string} call Source of one call, e.g. `policy.execute(fn)`. Every case gets a loop of
 *   its own compiled around it, hence type feedback of its own.
 * @property {Record<string, unknown>} scope The names that `call` uses.
 * @property {(outcome: any) => boolean} [expect] Overrides the work's `expect`.
 * @property {() => unknown} [close] Stops timers and the like.
 *
 * @typedef {object} Work One table: the same work done by every subject.
 * @property {string} id Unique within its suite.
 * @property {string} title
 * @property {string} [loop] A name from loops.js; `sequential` when absent.
 * @property {(plan: Plan) => number} [ops] Calls in one turn of the loop; 1 when absent.
 * @property {(outcome: any) => boolean} [expect] What one turn of the loop must give.
 * @property {boolean} [bytes] Whether allocation per call is measured as well.
 * @property {'time' | 'memory'} [kind] `memory`: bytes held per call in flight, not time.
 * @property {boolean} [rate] Calls per second are shown as well: those that are in flight together.
 * @property {'cpu' | 'wall'} [clock] What is compared; CPU time when absent. Wall time where waiting is the point.
 * @property {number} [rounds] Where the work needs more rounds than the plan says.
 * @property {number} [sample] Where the work needs longer samples than the plan says, in ms.
 * @property {(plan: Plan) => Case[] | Promise<Case[]>} setup The first case is the baseline.
 * @property {() => unknown} [pollute] Teaches the libraries' call sites many shapes beforehand.
 * @property {() => unknown} [teardown]
 *
 * @typedef {object} Plan How long to measure.
 * @property {boolean} quick
 * @property {number} rounds
 * @property {number} sample Milliseconds of one sample.
 * @property {number} warmup Milliseconds of warm-up per case.
 * @property {number} inFlight How many calls "in flight" means.
 * @property {number} seed
 *
 * @typedef {object} Sampled What a worker reports of one case.
 * @property {string} subject
 * @property {string} [variant]
 * @property {number[]} cpu CPU nanoseconds per call, one per round.
 * @property {number[]} wall Wall nanoseconds per call, one per round.
 * @property {number[]} base CPU nanoseconds per call of the baseline in the same rounds.
 * @property {number} [bytes] Bytes allocated per call, or held per call in flight.
 *
 * @typedef {object} Row What results.json records of one subject.
 * @property {string} suite
 * @property {string} work
 * @property {string} title
 * @property {string} subject
 * @property {string} [variant]
 * @property {string} version
 * @property {number} [nsPerOp]
 * @property {number} [wallNsPerOp]
 * @property {number} [ratioToBare]
 * @property {number} [ratioP25]
 * @property {number} [ratioP75]
 * @property {number} [ratioToHoldfast]
 * @property {number} [bytesPerOp]
 * @property {number} [perSecond] By wall time.
 */

/** @param {{ subject: string, variant?: string }} row */
export const label = (row) => (row.variant ? `${row.subject} (${row.variant})` : row.subject)

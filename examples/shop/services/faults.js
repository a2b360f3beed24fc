/**
 * The ways in which a service can be told to fail, and the check of what arrives over HTTP.
 */

/**
 * @typedef {'ok' | 'fail' | 'slow' | 'hang' | 'reset' | 'down'} Mode
 *
 * - `ok`: answers as it should
 * - `fail`: answers 503
 * - `slow`: answers after `delay` ms, unless its caller has said that it does not wait so long
 * - `hang`: takes the call and never answers, not even when it is well again
 * - `reset`: does the work, then resets the connection instead of answering
 * - `down`: refuses connections
 *
 * @typedef {object} Fault
 * @property {Mode} mode
 * @property {number} [rate] - Share of the calls that it befalls, 0 to 1. All, if absent.
 * @property {number} [delay] - For `slow`, in ms.
 */

const modes = ['ok', 'fail', 'slow', 'hang', 'reset', 'down']

/**
 * @param {unknown} value - What somebody sent.
 * @returns {Fault}
 */
export function checkFault(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError('a fault is an object, such as {"mode":"fail","rate":0.7}')
  }
  const { mode, rate, delay, ...others } = /** @type {Record<string, unknown>} */ (value)
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new TypeError(`unknown field "${unknown}"`)
  if (!modes.includes(String(mode))) throw new RangeError(`mode is one of ${modes.join(', ')}`)
  if (rate !== undefined && !isBetween(rate, 0, 1)) throw new RangeError('rate is from 0 to 1')
  if (delay !== undefined && !isBetween(delay, 0, 600_000)) {
    throw new RangeError('delay is from 0 to 600000 ms')
  }
  if (mode === 'slow' && delay === undefined) throw new TypeError('slow needs a delay in ms')
  return /** @type {Fault} */ (value)
}

/**
 * @param {unknown} value
 * @param {number} least
 * @param {number} most
 */
function isBetween(value, least, most) {
  return typeof value === 'number' && value >= least && value <= most
}

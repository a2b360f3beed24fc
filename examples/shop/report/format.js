/**
 * Numbers and colours for people.
 */

/**
 * @typedef {'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'} Colour
 * @typedef {(colour: Colour, text: string) => string} Paint
 */

/** @type {Record<Colour, string>} */
const codes = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33', cyan: '36' }
const esc = '\u001b['

/**
 * @param {boolean} colourful
 * @returns {Paint}
 */
export function painter(colourful) {
  return (colour, text) =>
    colourful && text !== '' ? `${esc}${codes[colour]}m${text}${esc}0m` : text
}

/** How wide a text is on the screen. */
const paint = new RegExp(`${'\u001b'}\\[\\d+m`, 'g')

/** @param {string} text */
export function widthOf(text) {
  return text.replace(paint, '').length
}

/**
 * @param {string} text
 * @param {number} width
 */
export function left(text, width) {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)))
}

/**
 * @param {string} text
 * @param {number} width
 */
export function right(text, width) {
  return ' '.repeat(Math.max(0, width - widthOf(text))) + text
}

/**
 * Cuts a text to the width of the screen, colours kept whole.
 *
 * @param {string} text
 * @param {number} width
 */
export function cut(text, width) {
  if (widthOf(text) <= width) return text
  let shown = ''
  let seen = 0
  for (const part of text.split(new RegExp(`(${paint.source})`))) {
    if (part.startsWith(esc)) shown += part
    else {
      shown += part.slice(0, Math.max(0, width - seen))
      seen += part.length
    }
  }
  return shown
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return '-'
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

/** @param {number} ms */
export function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`
}

/**
 * A share as per cent; a share that is not whole is never rounded up to 100 %.
 *
 * @param {number} share
 */
export function percent(share) {
  const tenths = Math.floor(share * 1_000) / 10
  return `${tenths === 100 || tenths === 0 ? tenths : tenths.toFixed(1)} %`
}

const bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']

/**
 * @param {readonly number[]} shares - Each 0 to 1.
 */
export function sparkline(shares) {
  return shares.map((share) => bars[Math.min(7, Math.floor(share * 8))]).join('')
}

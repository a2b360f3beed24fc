/**
 * The quarterly invoice of a business customer as a PDF: thousands of lines are set, page by page,
 * compressed and sealed. Nothing here waits for anybody: it keeps a CPU busy from begin to end, the
 * one of whatever thread it is called in.
 */

import { createHash } from 'node:crypto'
import { deflateSync } from 'node:zlib'

/**
 * @typedef {object} Task
 * @property {number} customer
 * @property {ReadonlyArray<{ id: number, name: string, price: number }>} products - On sale.
 *
 * @typedef {object} Invoice
 * @property {Uint8Array} pdf
 * @property {number} lines
 * @property {number} pages
 * @property {number} total
 * @property {string} seal - SHA-256 of the PDF.
 *
 * @typedef {{ date: string, name: string, quantity: number, price: number }} Line
 */

const days = 90
const linesPerPage = 60
/** The left edge of the text columns, the right edge of the number columns, in points. */
const columns = { date: 50, name: 120, quantity: 350, price: 440, amount: 545 }

/**
 * @param {Task} task
 * @returns {Invoice}
 */
export function renderInvoice({ customer, products }) {
  const lines = linesOf(customer, products)
  /** @type {string[]} */
  const pages = []
  let carried = 0
  for (let first = 0; first < lines.length; first += linesPerPage) {
    const page = lines.slice(first, first + linesPerPage)
    const sum = page.reduce((total, { quantity, price }) => total + quantity * price, carried)
    const title = `Invoice of customer ${customer}, page ${pages.length + 1}`
    pages.push(setPage({ title, lines: page, carried, sum }))
    carried = sum
  }
  const pdf = bind(pages)
  const seal = createHash('sha256').update(pdf).digest('hex')
  return { pdf, lines: lines.length, pages: pages.length, total: carried, seal }
}

/**
 * What a customer has bought in a quarter: every day about half of what there is.
 *
 * @param {number} customer
 * @param {Task['products']} products
 * @returns {Line[]}
 */
function linesOf(customer, products) {
  const lines = []
  for (let day = 1; day <= days; day++) {
    const date = new Date(Date.UTC(2026, 6, day)).toISOString().slice(0, 10)
    for (const { id, name, price } of products) {
      const quantity = (customer * 31 + day * 17 + id * 7) % 20
      if (quantity < 10) lines.push({ date, name, quantity: quantity + 1, price })
    }
  }
  return lines
}

/**
 * @param {{ title: string, lines: readonly Line[], carried: number, sum: number }} page
 * @returns {string} The page in the drawing language of PDF.
 */
function setPage({ title, lines, carried, sum }) {
  let y = 800
  const drawn = [write(columns.date, y, title, 14)]
  y -= 24
  drawn.push(
    write(columns.date, y, 'carried forward'),
    writeLeftOf(columns.amount, y, money(carried)),
  )
  for (const { date, name, quantity, price } of lines) {
    y -= 12
    drawn.push(
      write(columns.date, y, date),
      write(columns.name, y, shorten(name, columns.quantity - columns.name - 40)),
      writeLeftOf(columns.quantity, y, String(quantity)),
      writeLeftOf(columns.price, y, money(price)),
      writeLeftOf(columns.amount, y, money(quantity * price)),
    )
  }
  y -= 12
  drawn.push(
    write(columns.date, y, 'to be carried forward'),
    writeLeftOf(columns.amount, y, money(sum)),
  )
  return `BT\n${drawn.join('\n')}\nET`
}

const { format: money } = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 2 })

/** @param {number} x @param {number} y @param {string} text @param {number} [size] */
function write(x, y, text, size = 9) {
  return `/F ${size} Tf 1 0 0 1 ${x.toFixed(2)} ${y} Tm (${text.replace(/[\\()]/g, '\\$&')}) Tj`
}

/** @param {number} right @param {number} y @param {string} text */
function writeLeftOf(right, y, text) {
  return write(right - widthOf(text), y, text)
}

/** @param {string} text @param {number} width */
function shorten(text, width) {
  let shown = text
  while (widthOf(shown) > width) shown = shown.slice(0, -1)
  return shown
}

/** Widths of Helvetica in thousandths of its size (Adobe font metrics); other characters are 556. */
const widths = new Map([
  ...[...' ,.:;!ijlI/'].map((each) => /** @type {const} */ ([each, 278])),
  ...[...'frt-()'].map((each) => /** @type {const} */ ([each, 333])),
  ...[...'ckvxyzs'].map((each) => /** @type {const} */ ([each, 500])),
  ...[...'PSEABKXYV'].map((each) => /** @type {const} */ ([each, 667])),
])

/** @param {string} text */
function widthOf(text) {
  let width = 0
  for (const each of text) width += widths.get(each) ?? 556
  return (width / 1_000) * 9
}

/**
 * A PDF of these pages, by the file structure of ISO 32000: objects, where each begins, the root.
 *
 * @param {readonly string[]} pages
 */
function bind(pages) {
  const kids = pages.map((_page, index) => `${4 + index * 2} 0 R`).join(' ')
  /** @type {Array<string | Buffer>} */
  const parts = ['%PDF-1.4\n']
  /** @type {number[]} */
  const begins = []
  let size = parts[0]?.length ?? 0

  object('<< /Type /Catalog /Pages 2 0 R >>')
  object(`<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`)
  object('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>')
  for (const [index, page] of pages.entries()) {
    const content = deflateSync(page, { level: 9 })
    object(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents ${5 + index * 2} 0 R /Resources << /Font << /F 3 0 R >> >> >>`,
    )
    object(`<< /Length ${content.length} /Filter /FlateDecode >>`, content)
  }
  const rows = begins.map((begin) => `${String(begin).padStart(10, '0')} 00000 n \n`).join('')
  const end = size
  add(`xref\n0 ${begins.length + 1}\n0000000000 65535 f \n${rows}`)
  add(`trailer\n<< /Size ${begins.length + 1} /Root 1 0 R >>\nstartxref\n${end}\n%%EOF\n`)
  return new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part))))

  /** @param {string} dictionary @param {Buffer} [stream] */
  function object(dictionary, stream) {
    begins.push(size)
    add(`${begins.length} 0 obj\n${dictionary}\n`)
    if (stream) {
      add('stream\n')
      add(stream)
      add('\nendstream\n')
    }
    add('endobj\n')
  }

  /** @param {string | Buffer} part */
  function add(part) {
    parts.push(part)
    size += part.length
  }
}

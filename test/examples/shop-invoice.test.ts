/** The invoices of the shop are PDFs that a reader can open. */
import { createHash } from 'node:crypto'
import { inflateSync } from 'node:zlib'
import { expect, it } from 'vitest'

interface Invoice {
  readonly pdf: Uint8Array
  readonly lines: number
  readonly pages: number
  readonly total: number
  readonly seal: string
}

interface Task {
  readonly customer: number
  readonly products: readonly {
    readonly id: number
    readonly name: string
    readonly price: number
  }[]
}

const module = new URL('../../examples/shop/front/invoice.js', import.meta.url)
const { renderInvoice } = (await import(module.href)) as { renderInvoice: (task: Task) => Invoice }
const task: Task = {
  customer: 7,
  products: [
    { id: 1, name: 'A rope (10 m)', price: 12 },
    { id: 2, name: 'An anchor', price: 1_034 },
    { id: 3, name: `A name ${'that goes on '.repeat(20)}`, price: 1 },
  ],
}

it('sets every line, and adds up', () => {
  const { pdf, lines, pages, total } = renderInvoice(task)
  const texts = textsIn(pdf)

  expect(lines).toBeGreaterThan(100)
  expect(texts).toHaveLength(pages)
  expect(texts[0]).toContain('(Invoice of customer 7, page 1)')
  expect(texts[0]).toContain(String.raw`(A rope \(10 m\))`)
  const sum = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 2 }).format(total)
  expect(texts.at(-1)).toContain(`(${sum})`)
})

it('is a PDF: its table says where each object begins', () => {
  const file = Buffer.from(renderInvoice(task).pdf).toString('latin1')
  const table = Number(/startxref\n(\d+)\n%%EOF\n$/.exec(file)?.[1])
  const begins = [...file.slice(table).matchAll(/^(\d{10}) 00000 n $/gm)].map(([, at]) =>
    Number(at),
  )

  expect(file.startsWith('%PDF-1.4\n')).toBe(true)
  expect(file.slice(table, table + 5)).toBe('xref\n')
  expect(begins.length).toBeGreaterThan(5)
  expect(begins.map((at) => file.slice(at, at + 8).split(' obj')[0])).toEqual(
    begins.map((_at, index) => `${index + 1} 0`),
  )
})

it('is the same each time, and sealed', () => {
  const [once, again] = [renderInvoice(task), renderInvoice(task)]

  expect(Buffer.compare(once.pdf, again.pdf)).toBe(0)
  expect(once.seal).toBe(createHash('sha256').update(again.pdf).digest('hex'))
})

/** What is written on each page. */
function textsIn(pdf: Uint8Array): string[] {
  const file = Buffer.from(pdf)
  const text = file.toString('latin1')
  return [...text.matchAll(/\/Length (\d+) \/Filter \/FlateDecode >>\nstream\n/g)].map((found) => {
    const start = found.index + found[0].length
    return inflateSync(file.subarray(start, start + Number(found[1]))).toString()
  })
}

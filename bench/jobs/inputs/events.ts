/**
 * Events of a shop, ten milliseconds apart: in a topic of four partitions, plain and with columns, as CSV, and what DuckDB makes of that: Parquet and a table of its own. Beside them 100,000 items
 * that events are about. Numbers come from multiplicative hashes: all forms have the same rows, whoever makes them. Amounts are quarters, so that sums are exact.
 */
import { open } from 'varve'
import { Window } from '../../logs/workloads/database.ts'
import type { Forms } from '../inputs.ts'
import { duckdbFile, duckdbParquet } from '../products/duckdb.ts'
import { writeLines } from './write-lines.ts'

export interface Event {
  readonly id: number
  /** One of 20. */
  readonly category: string
  /** One of a million; see `userCount`. */
  readonly user: number
  /** One of 100,000, as a number and as text; see `itemCount`. */
  readonly item: number
  readonly sku: string
  readonly amount: number
}

export interface Item {
  readonly item: number
  readonly sku: string
  /** One of 10. */
  readonly kind: string
}

export const partitions = 4
export const firstAt: number = Date.UTC(2026, 0, 1)
export const msBetween = 10

const categories = Array.from({ length: 20 }, (_, i) => `category-${String(i).padStart(2, '0')}`)
const batchRecords = 2000

/** A million, or fewer where rows are few. */
export function userCount(rows: number): number {
  return Math.min(1_000_000, Math.ceil(rows / 10))
}

/** 100,000, or fewer where rows are few. */
export function itemCount(rows: number): number {
  return Math.min(100_000, Math.ceil(rows / 50))
}

function skuOf(item: number): string {
  return `sku-${String(item).padStart(6, '0')}`
}

/** The event of this number, of a table of so many. */
function eventOf(id: number, rows: number): Event {
  const mixed = Math.imul(id + 1, 0x9e3779b1) >>> 0
  const item = (Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> 0) % itemCount(rows)
  return {
    id,
    category: categories[(mixed >>> 7) % categories.length] as string,
    user: (Math.imul(mixed ^ (mixed >>> 13), 0x85ebca6b) >>> 0) % userCount(rows),
    item,
    sku: skuOf(item),
    amount: (mixed % 4000) / 4,
  }
}

function itemOf(item: number): Item {
  return { item, sku: skuOf(item), kind: `kind-${(Math.imul(item + 1, 0x85ebca6b) >>> 8) % 10}` }
}

/** What the topic holds as columns, where it does. */
const columns: readonly (keyof Event)[] = ['category', 'user', 'item', 'sku', 'amount']

async function makeTopics(path: string, rows: number, declared?: readonly string[]): Promise<void> {
  const db = await open(path)
  const events = db.topic<Event>('events', { partitions, ...(declared !== undefined && { columns: declared }) })
  const items = db.topic<Item>('items')
  await Promise.all([events.ready(), items.ready()])
  const window = new Window(8)
  for (let id = 0; id < rows; ) {
    await window.room()
    const length = Math.min(batchRecords, rows - id)
    const batch = Array.from({ length }, (_, i) => ({ value: eventOf(id + i, rows), timestamp: firstAt + msBetween * (id + i) }))
    id += length
    window.add(events.sendBatch(batch).then(() => undefined))
  }
  await window.all()
  await items.sendBatch(Array.from({ length: itemCount(rows) }, (_, item) => ({ value: itemOf(item) })))
  await db.seal()
  await db.close()
}

export const eventForms: Forms = {
  topic: { make: (path, parameters) => makeTopics(path, parameters.rows as number) },
  columns: { make: (path, parameters) => makeTopics(path, parameters.rows as number, columns) },
  csv: {
    async make(path, parameters) {
      const rows = parameters.rows as number
      writeLines(path, 'id,category,user,item,sku,amount,at', rows, id => {
        const { category, user, item, sku, amount } = eventOf(id, rows)
        return `${id},${category},${user},${item},${sku},${amount},${firstAt + msBetween * id}`
      })
    },
  },
  text: {
    // The items.
    async make(path, parameters) {
      writeLines(path, 'item,sku,kind', itemCount(parameters.rows as number), number => {
        const { item, sku, kind } = itemOf(number)
        return `${item},${sku},${kind}`
      })
    },
  },
  parquet: { from: ['csv'], make: (path, _, pathOf) => duckdbParquet(path, pathOf('csv')) },
  duckdb: { from: ['csv', 'text'], make: (path, _, pathOf) => duckdbFile(path, { events: pathOf('csv'), items: pathOf('text') }) },
}

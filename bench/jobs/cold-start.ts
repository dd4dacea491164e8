/** The small job of the workload `cold-start` in one product: `cold-start.js <product> <path>`. Sends the answer and ends. Imports only what that product needs. */
import { readFileSync } from 'node:fs'
import type { Answer, Product } from './workload.ts'

type Row = Readonly<Record<string, unknown>>

const jobs: { readonly [product in Product]: (path: string) => Promise<readonly Row[]> } = {
  async varve(path) {
    const [{ open }, { count, flow, sum }] = await Promise.all([import('varve'), import('varve/compute')])
    const db = await open(path)
    const rows = await flow('categories', db.topic<{ category: string; amount: number }>('events'))
      .keyBy('category')
      .aggregate({ n: count(), amount: sum('amount') })
      .toArray()
    closing = () => db.close()
    return rows
  },
  async duckdb(path) {
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' })
    const connection = await instance.connect()
    const reader = await connection.runAndReadAll('select category, count(*) n, sum(amount) amount from events group by category')
    return reader.getRowObjectsJS()
  },
  async polars(path) {
    const [{ loadPeer }, { polarsPackage }] = await Promise.all([import('../peer-packages.ts'), import('./products/polars.ts')])
    const { default: library } = loadPeer<{ readonly default: import('./products/polars.ts').Polars }>(polarsPackage)
    const frame = library
      .scanCSV(path)
      .groupBy('category')
      .agg(library.col('amount').count().alias('n'), library.col('amount').sum().alias('amount'))
    return (await frame.collect()).toRecords()
  },
  async javascript(path) {
    const groups = new Map<string, { category: string; n: number; amount: number }>()
    for (const line of readFileSync(path, 'utf8').split('\n').slice(1, -1)) {
      const fields = line.split(',')
      const category = fields[1] as string
      const amount = Number(fields[5])
      const group = groups.get(category)
      if (group === undefined) groups.set(category, { category, n: 1, amount })
      else {
        group.n++
        group.amount += amount
      }
    }
    return [...groups.values()]
  },
}

let closing: () => unknown = () => undefined

const [, , product = '', path = ''] = process.argv
const rows = await jobs[product as Product](path)
const answer: Answer = rows
  .map(({ category, n, amount }) => [String(category), Number(n), Number(amount)] as const)
  .sort(([a], [b]) => (a < b ? -1 : 1))
process.send?.(answer, () => process.disconnect())
await closing()

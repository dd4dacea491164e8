/**
 * A dataset job over three kinds of input: orders of a topic, customers of a store, countries of a CSV file. It joins them, sums by country and month, ranks the
 * months of each country, and writes Parquet, a file for each country; then the files are read again.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'varve'
import { col, count, flow, rank, readCsv, readParquet, sum, writeParquet } from 'varve/compute'

interface Order {
  readonly customer: string
  readonly cents: number
  readonly at: Date
}
interface Customer {
  readonly name: string
  readonly country: string
}
interface Country {
  readonly code: string
  readonly vat: number
}
interface Month {
  readonly country: string
  readonly month: number
  readonly orders: number
  readonly net: number
  readonly place: number
}

const folder = mkdtempSync(join(tmpdir(), 'varve-dataset-'))
try {
  const db = await open(join(folder, 'data'))
  const orders = db.topic<Order>('orders', { partitions: 4, key: 'customer' })
  const customers = db.store<Customer, string>('customers')
  const names = ['ada', 'emmy', 'kurt', 'grace']
  await customers.batch(names.map((name, i) => ({ type: 'put', key: name, value: { name, country: i % 2 === 0 ? 'GB' : 'DE' } })))
  await orders.sendBatch(
    Array.from({ length: 1000 }, (_, i) => ({
      customer: names[i % 4] as string,
      cents: 1000 + i,
      at: new Date(Date.UTC(2026, i % 3, 1 + (i % 28))),
    })),
  )
  writeFileSync(join(folder, 'countries.csv'), 'code,vat\nGB,0.2\nDE,0.19\n')

  const months = flow('months', orders)
    .join(flow('customers', customers), { left: 'customer', right: 'name' })
    .join(flow('countries', readCsv<Country>(join(folder, 'countries.csv'))), { left: 'country', right: 'code' })
    .keyBy({ country: col('country'), month: col('at').month() })
    .aggregate({ orders: count(), net: sum(col('cents').div(col('vat').add(1))) })
    .keyBy('country')
    .sort({ by: 'net', descending: true })
    .window({ place: rank() })
  const report = await months.to(writeParquet(join(folder, 'months'), { partitionBy: ['country'] }))
  console.log(`${report.rows} rows in ${readdirSync(join(folder, 'months')).sort().join(' and ')}`)

  const best = flow('best', readParquet<Month>(join(folder, 'months')))
    .filter(col('place').eq(1))
    .sort('net')
  for await (const { month, orders: n, net } of best) console.log(`month ${month}: ${n} orders, ${Math.round(net / 100)} net`)
  await db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

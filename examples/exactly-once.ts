/**
 * One topic derived from another, exactly once: each batch of orders, what becomes of it, and how far the group has come are one commit. The program is
 * interrupted between any two batches, opened again, and goes on: nothing is lost, nothing is there twice.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, open, type Topic } from 'varve'

interface Order {
  readonly customer: string
  readonly items: number
}
interface Parcel {
  readonly customer: string
  readonly order: string
}

function ordersOf(db: Database): Topic<Order> {
  return db.topic<Order>('orders', { partitions: 2, key: 'customer' })
}
function parcelsOf(db: Database): Topic<Parcel> {
  return db.topic<Parcel>('parcels', { partitions: 2, key: 'customer' })
}

/** A parcel for each item of the orders. Stops after `batches` batches, or when nothing is left. */
async function pack(db: Database, batches: number): Promise<void> {
  let packed = 0
  for await (const batch of ordersOf(db).consume({ group: 'packing', maxRecords: 7 })) {
    await db.transaction(tx => {
      const parcels = tx.topic(parcelsOf(db))
      for (const { value, partition, offset } of batch.records) {
        if (value === null) continue
        for (let i = 0; i < value.items; i++) parcels.send({ customer: value.customer, order: `${partition}/${offset}` })
      }
      tx.offsets(batch)
    })
    if (++packed === batches || db.describeGroup('packing').lag === 0) break
  }
}

const folder = mkdtempSync(join(tmpdir(), 'varve-exactly-once-'))
try {
  let db = await open(folder)
  await ordersOf(db).sendBatch(Array.from({ length: 100 }, (_, i) => ({ customer: `customer ${i % 9}`, items: 1 + (i % 3) })))
  for (let starts = 1; ; starts++) {
    await pack(db, 3)
    const { lag } = db.describeGroup('packing')
    console.log(`start ${starts}: ${lag} orders are left`)
    await db.close()
    if (lag === 0) break
    db = await open(folder)
  }

  db = await open(folder)
  const parcels = new Map<string, number>()
  for await (const { value } of parcelsOf(db).consume({ until: 'end' }).records())
    if (value !== null) parcels.set(value.order, (parcels.get(value.order) ?? 0) + 1)
  console.log(`${[...parcels.values()].reduce((a, b) => a + b)} parcels of ${parcels.size} orders`)
  await db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

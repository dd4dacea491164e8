/** A topic: orders are sent, billed exactly once by a consumer group together with a store, and read again. The README shows the part between the marks. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
// [readme]
import { open } from 'varve'

interface Order {
  readonly customer: string
  readonly total: number
}

export async function bill(folder: string): Promise<void> {
  const db = await open(folder)
  const orders = db.topic<Order>('orders', { partitions: 4, key: 'customer' }) // orders of one customer stay in order
  const bills = db.store<number, string>('bills')
  await orders.send({ customer: 'ada', total: 12 }) // resolves with its partition and offset, when power loss cannot take it
  await orders.sendBatch([
    { customer: 'bob', total: 3 },
    { customer: 'ada', total: 9 },
  ])
  // Consumers of a group share the partitions.
  for await (const batch of orders.consume({ group: 'billing' })) {
    // Exactly once: bills and the group's offset are one commit.
    await db.transaction(tx => {
      for (const { value } of batch.records) {
        if (value !== null) tx.store(bills).put(value.customer, (tx.store(bills).get(value.customer) ?? 0) + value.total)
      }
      tx.offsets(batch)
    })
    if (db.describeGroup('billing').lag === 0) break
  }
  console.log([...bills.entries()]) // [['ada', 21], ['bob', 3]], also when it was killed on the way and started again
  await db.close()
}
// [/readme]

const folder = mkdtempSync(join(tmpdir(), 'varve-topic-'))
try {
  await bill(join(folder, 'data'))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

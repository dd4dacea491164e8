/** The smallest program: define a log, append durably, read back, commit over two logs at once. The README shows the part between the marks. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
// [readme]
import { decodeRecords, open } from 'varve'

export async function quickstart(folder: string): Promise<string[]> {
  const db = await open(folder) // a folder; created when missing
  await db.define([
    { name: 'orders', kind: 'topic' },
    { name: 'payments', kind: 'topic' },
  ])
  const orders = db.log('orders')
  const payments = db.log('payments')

  const first = orders.appendRecords([{ key: 'ada', value: '12 eggs' }]) // the offset is known at once …
  await first.durable // … and this resolves when power loss cannot take it

  const both = db.commit(commit => {
    commit.appendRecords(orders, [{ key: 'bob', value: '1 goose' }])
    commit.appendRecords(payments, [{ key: 'bob', value: '20 EUR' }])
  })
  await both.durable // in both logs, or in neither

  const found: string[] = []
  for (let offset = orders.startOffset; offset < orders.highWatermark; ) {
    const slice = orders.read(offset) // whole batches, synchronous
    for (const position of slice.positions) {
      for (const record of decodeRecords(slice.bytes, position)) found.push(`${record.offset}: ${text(record.key)} ${text(record.value)}`)
    }
    offset = slice.nextOffset
  }
  await db.close()
  return found
}

function text(bytes: Uint8Array | null): string {
  return new TextDecoder().decode(bytes ?? new Uint8Array(0))
}
// [/readme]

const folder = mkdtempSync(join(tmpdir(), 'varve-quickstart-'))
try {
  for (const line of await quickstart(folder)) console.log(line)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

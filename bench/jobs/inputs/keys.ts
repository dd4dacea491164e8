/** Records each with a key of its own, in an order that no key follows: for aggregations and sorts that outgrow memory. */
import { open } from 'varve'
import { Window } from '../../logs/workloads/database.ts'
import type { Forms } from '../inputs.ts'

export interface KeyRow {
  readonly key: number
  readonly amount: number
}

const batchRecords = 5000

/** Different for different rows. */
function keyOf(row: number): number {
  return Math.imul(row, 0x9e3779b1) >>> 0
}

export const keyForms: Forms = {
  topic: {
    async make(path, parameters) {
      const rows = parameters.rows as number
      const db = await open(path)
      const topic = db.topic<KeyRow>('keys', { partitions: 4 })
      await topic.ready()
      const window = new Window(8)
      for (let row = 0; row < rows; ) {
        await window.room()
        const length = Math.min(batchRecords, rows - row)
        const batch = Array.from({ length }, (_, i) => ({ value: { key: keyOf(row + i), amount: (row + i) % 1000 } }))
        row += length
        window.add(topic.sendBatch(batch).then(() => undefined))
      }
      await window.all()
      await db.seal()
      await db.close()
    },
  },
}

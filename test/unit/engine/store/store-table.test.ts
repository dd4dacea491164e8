/** Goal: a table makes the memtable of the next arena as large as that of the last one became, so that it does not grow while records come; and no larger than its arena can need. */
import { expect, test } from 'vitest'
import type { Memtable } from '../../../../engine/store/memtable.ts'
import { coreOf } from '../../../../engine/store/store.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

const arenaBytes = 64 * 1024

test('memtables do not grow where records come as they came before', async () => {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const size = { commitLogFileBytes: arenaBytes, commitLogFileBytesFirst: arenaBytes }
    const db = await openSim(environment, { ...size, frameBytesMax: 8 * 1024, tailBytesMax: 64 * arenaBytes, autoConsolidate: false })
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    const sizes = new Map<Memtable, number[]>()
    for (let i = 0; i < 2000; i++) {
      await store.put(`key ${i}`, 'v'.repeat(60))
      const newest = coreOf(store).table.memtables.at(-1) as Memtable
      const seen = sizes.get(newest) ?? []
      if (seen.at(-1) !== newest.indexBytes) sizes.set(newest, [...seen, newest.indexBytes])
    }
    const [first, ...others] = [...sizes.values()]
    expect(first?.length).toBeGreaterThan(1)
    expect(others.length).toBeGreaterThan(2)
    for (const seen of others) {
      expect(seen.length).toBe(1)
      expect(seen[0]).toBeLessThanOrEqual(first?.at(-1) as number)
    }
    await db.close()
  })
})

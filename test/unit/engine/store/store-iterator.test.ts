/** Goal: single steps, batches and seeking of one iterator agree on where it stands and how much of its limit is left. */
import { expect, test } from 'vitest'
import { newEnvironment, openSim } from '../../../probes/support.ts'

test('seeking after single steps gives up what was read ahead, and not the limit', async () => {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    await store.batch(Array.from({ length: 10 }, (_, i) => ({ type: 'put', key: String(i), value: '' }) as const))
    const iterator = store.keys({ limit: 6 })
    expect([iterator.next().value, iterator.next().value]).toEqual(['0', '1'])
    iterator.seek('4')
    expect(iterator.next().value).toBe('4')
    iterator.seek('7')
    expect(iterator.nextBatch(10)).toEqual(['7', '8', '9'])
    // The limit is reached: nothing more comes, wherever it would go.
    expect(() => iterator.seek('0')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect(iterator.nextBatch(10)).toEqual([])
    iterator.close()
    await db.close()
  })
})

/** Workloads that write: in batches or singly, new keys or old ones, and deletions. */

import { nextTurn } from '../../measurement.ts'
import { expectEqual } from '../../workload.ts'
import { share } from '../parameters.ts'
import type { StoreRun } from '../store-run.ts'

const orderPurpose = 1
const keyPurpose = 2

/** Each key once, in batches. */
export async function fill(run: StoreRun, order: 'sequence' | 'random'): Promise<void> {
  const { n } = run.parameters
  const shuffled = order === 'random' ? run.data.shuffled(orderPurpose) : undefined
  const store = await run.open()
  await run.measure(async () => {
    await run.writeAll(store, n, 'put', i => (shuffled === undefined ? i : (shuffled[i] as number)))
    return n
  })
  await run.expectAll(store)
  await store.close()
}

/** Random keys, with repetitions. `times`: for each key, in the mean. `debt`: until flushes and merges are done, too. */
export async function overwrite(run: StoreRun, times: number, debt: boolean): Promise<void> {
  const { n } = run.parameters
  const random = run.data.random(keyPurpose)
  const store = await run.open()
  await run.measure(async () => {
    await run.writeAll(store, n * times, 'overwrite', () => random.below(n))
    if (debt) await run.settle(store)
    return n * times
  })
  await run.expectAll(store)
  await store.close()
}

/** Durable puts of one key each, into an empty store; each caller awaits its put before the next. */
export async function fillSync(run: StoreRun, callers: number): Promise<void> {
  const { data, measurement } = run
  const { n } = run.parameters
  // Long enough that what is measured is not the first second of a process.
  const puts = share(n, callers === 1 ? 200 : 5, 64)
  const shuffled = data.shuffled(orderPurpose)
  const store = await run.open()
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < puts) {
      const index = shuffled[next++] as number
      const key = data.key(index)
      const value = data.value(index)
      const begun = measurement.begin()
      await store.put(key, value)
      measurement.end(begun)
      if (callers === 1) await nextTurn() // a synchronous put lets nothing else turn the event loop
    }
  }
  await run.measure(async () => {
    await Promise.all(Array.from({ length: callers }, caller))
    return puts
  })
  for (let i = 0; i < puts; i++) {
    const index = shuffled[i] as number
    data.check(await store.get(data.key(index)), index)
  }
  await run.expectCount(store, puts)
  await store.close()
}

/** Every key, in random order, in batches. */
export async function deleteRandom(run: StoreRun): Promise<void> {
  const { n, keyBytes } = run.parameters
  const shuffled = run.data.shuffled(orderPurpose + 10)
  const store = await run.open()
  await run.measure(async () => {
    await run.writeAll(store, n, 'delete', i => shuffled[i] as number)
    return n
  }, keyBytes)
  await run.expectCount(store, 0)
  expectEqual('a deleted key', await store.get(run.data.key(0)), undefined)
  await store.close()
}

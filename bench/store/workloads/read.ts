/** Workloads that get single keys. */

import { nextTurn } from '../../measurement.ts'
import { expectEqual } from '../../workload.ts'
import type { OpenStore } from '../engine.ts'
import { rawBytes, share } from '../parameters.ts'
import type { StoreRun } from '../store-run.ts'

/** Gets between two turns of the event loop. */
export const getsPerTurn = 128
/** A get takes about as long as taking its time: every so many only. */
const timedEvery = 16
/** An awaited get takes so much longer that fewer tell as much. */
const asyncDivisor = 10
const keyPurpose = 3
const budgetBytesMin = 256 * 1024

type Keys = 'all' | 'missing' | 'hot'

/** Random keys; 'hot': a hundredth of them. `cold`: memory for a tenth of the data. */
export async function getRandom(run: StoreRun, keys: Keys, cold = false): Promise<void> {
  const { data, measurement } = run
  const { n, keyBytes, valueBytes } = run.parameters
  const random = data.random(keyPurpose)
  const store = await run.open(cold ? Math.max(budgetBytesMin, Math.ceil(rawBytes(run.parameters) / 10)) : undefined)
  const gets = getCount(store, share(n, cold ? 4 : 1, 1000))
  const bound = keys === 'hot' ? share(n, 100, 10) : n
  await run.measure(
    async () => {
      for (let i = 0; i < gets; i++) {
        const index = random.below(bound)
        const key = keys === 'missing' ? data.missingKey(index) : data.key(index)
        const timed = i % timedEvery === 0
        const begun = timed ? measurement.begin() : 0
        const value = store.getIsAsync ? await store.get(key) : store.get(key)
        if (timed) measurement.end(begun)
        if (keys === 'missing') expectEqual('a missing key', value, undefined)
        else data.check(value as Awaited<typeof value>, index)
        if (i % getsPerTurn === 0) await nextTurn()
      }
      return gets
    },
    keys === 'missing' ? keyBytes : keyBytes + valueBytes,
  )
  await store.close()
}

export function getCount(store: OpenStore, gets: number): number {
  return store.getIsAsync ? Math.ceil(gets / asyncDivisor) : gets
}

/** Opening and compacting. */

import { nextTurn } from '../../measurement.ts'
import type { StoreRun } from '../store-run.ts'

const openings = 5
const keyPurpose = 7

/** Opens and gets one key, several times; closing in between does not count. */
export async function openAndGet(run: StoreRun): Promise<void> {
  const { data, measurement } = run
  const random = data.random(keyPurpose)
  await run.measure(async () => {
    for (let i = 0; i < openings; i++) {
      const index = random.below(run.parameters.n)
      const begun = measurement.begin()
      const store = await run.open()
      data.check(await store.get(data.key(index)), index)
      measurement.end(begun)
      const opened = measurement.begin()
      await store.close()
      await nextTurn()
      run.discount(performance.now() - opened)
    }
    return openings
  }, 0)
}

/** Everything that was overwritten goes. */
export async function compact(run: StoreRun): Promise<void> {
  const { n } = run.parameters
  const store = await run.open()
  await run.measure(async () => {
    const begun = run.measurement.begin()
    await store.compact()
    run.measurement.end(begun)
    return n
  })
  await run.expectAll(store)
  await store.close()
}

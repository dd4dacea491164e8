/**
 * Goal: a walk shows at every moment what a sorted map of that moment holds, both ways, from anywhere: over versions of one key that fill several blocks,
 * over several runs and memtables with deletes, expiries and range deletes, in stretches and record by record.
 */
import { expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import type { Snapshot, Store } from '../../../../engine/index.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

type Model = ReadonlyMap<string, string>

const keyOf = (n: number): string => `k${String(n).padStart(3, '0')}`

/** What a range of the model is; keys are ASCII. */
function rangeOf(model: Model, range: { readonly gte?: string; readonly lt?: string; readonly reverse: boolean }): [string, string][] {
  const { gte = '', lt = '~', reverse } = range
  const found = [...model].filter(([key]) => key >= gte && key < lt).sort(([left], [right]) => (left < right ? -1 : 1))
  return reverse ? found.reverse() : found
}

function checkMoment(store: Store<string, string>, model: Model, random: SimRandom, snapshot: Snapshot | undefined): void {
  for (const reverse of [false, true]) {
    const options = { reverse, ...(snapshot !== undefined && { snapshot }) }
    expect([...store.entries(options)]).toEqual(rangeOf(model, { reverse }))
    for (let i = 0; i < 6; i++) {
      const gte = keyOf(random.below(40))
      const lt = keyOf(random.below(44))
      if (gte >= lt) continue
      const wanted = rangeOf(model, { gte, lt, reverse })
      const limit = 1 + random.below(30)
      expect(store.iterator({ ...options, gte, lt, limit }).nextBatch(1000)).toEqual(wanted.slice(0, limit))
      expect(store.count({ ...options, gte, lt })).toBe(wanted.length)
      const iterator = store.iterator({ ...options, gte, lt })
      const found: [string, string][] = []
      for (let size = 1; ; size += 3) {
        const batch = iterator.nextBatch(size)
        found.push(...batch)
        if (batch.length < size) break
      }
      expect(found).toEqual(wanted)
      const to = keyOf(random.below(44))
      const again = store.iterator({ ...options, gte, lt })
      again.nextBatch(random.below(5) + 1)
      if (wanted.length > 5) {
        again.seek(to)
        expect(again.nextBatch(1000)).toEqual(wanted.filter(([key]) => (reverse ? key <= to : key >= to)))
      }
      again.close()
    }
  }
}

test.each([1, 2, 3, 4])('every moment reads as it was, seed %i', async seed => {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const random = new SimRandom(seed)
    const db = await openSim(environment)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    const model = new Map<string, string>()
    const moments: { readonly snapshot: Snapshot; readonly model: Model }[] = []
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 150; i++) {
        // Few keys, so that the versions that snapshots keep fill several blocks.
        const key = keyOf(random.chance(0.7) ? random.below(3) * 13 : random.below(40))
        if (random.chance(0.08)) {
          model.delete(key)
          await store.del(key)
        } else if (random.chance(0.02)) {
          const gte = keyOf(random.below(40))
          const lt = keyOf(random.below(44))
          if (gte < lt) {
            for (const name of [...model.keys()]) if (name >= gte && name < lt) model.delete(name)
            await store.delRange({ gte, lt })
          }
        } else {
          const value = `${round}.${i}${random.chance(0.02) ? 'ü' : ''}`.padEnd(random.below(400), '-')
          model.set(key, value)
          await store.put(key, value)
        }
        if (random.chance(0.5)) moments.push({ snapshot: db.snapshot(), model: new Map(model) })
      }
      if (round < 4) await db.seal()
      if (round === 2 && seed % 2 === 0) await store.compact()
      checkMoment(store, model, random, undefined)
      for (let i = 0; i < 12; i++) {
        const moment = moments[random.below(moments.length)]
        if (moment !== undefined) checkMoment(store, moment.model, random, moment.snapshot)
      }
    }
    for (const { snapshot } of moments) snapshot.close()
    await db.close()
  })
})

test('entries that expire are passed over once their time has come, and hide what is older', async () => {
  const environment = newEnvironment(9)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    for (let i = 0; i < 100; i++) await store.put(keyOf(i), 'old')
    await db.seal()
    for (let i = 0; i < 100; i += 2) await store.put(keyOf(i), 'new', { ttlMs: 1000 })
    const all = Array.from({ length: 100 }, (_, i): [string, string] => [keyOf(i), i % 2 === 0 ? 'new' : 'old'])
    const odd = all.filter((_, i) => i % 2 === 1)
    for (const sealed of [false, true]) {
      if (sealed) await db.seal()
      else expect([...store.entries()]).toEqual(all)
      if (!sealed) environment.clock.jump(2000)
      expect([...store.entries()]).toEqual(odd)
      expect([...store.entries({ reverse: true })]).toEqual(odd.toReversed())
      expect(store.count()).toBe(50)
    }
    await db.close()
  })
})

/** Goal: single steps, batches and seeking of one iterator agree on where it stands and how much of its limit is left. */
import { expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import type { Snapshot } from '../../../../engine/index.ts'
import { coreOf } from '../../../../engine/store/store.ts'
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

/** Goal: batches read from blocks of runs, whole and in pieces, say what single gets say: whatever is in the keys and values, both ways. */
test.each(['string', 'tuple'] as const)('batches over runs and a memtable give what was put, %s keys', async codec => {
  const environment = newEnvironment(2)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const random = new SimRandom(codec === 'string' ? 5 : 6)
    const store = db.store<string, string>('s', { keys: codec, value: 'string' })
    const model = new Map<string, string>()
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 60; i++) {
        // Blocks with and without other characters, and values larger than a block.
        const key = `k${String(random.below(400)).padStart(4, '0')}${random.chance(0.02) ? 'ü' : ''}`
        const value = (random.chance(0.01) ? '€' : 'v').repeat(random.chance(0.02) ? 9000 : random.below(200))
        if (random.chance(0.1)) {
          model.delete(key)
          await store.del(key)
        } else {
          model.set(key, value)
          await store.put(key, value)
        }
      }
      if (round < 4) await db.seal()
      const sorted = [...model].sort(([left], [right]) => Buffer.compare(Buffer.from(left), Buffer.from(right)))
      for (const reverse of [false, true]) {
        const wanted = reverse ? sorted.toReversed() : sorted
        for (const size of [5, 100, 1000]) {
          const iterator = store.iterator({ reverse })
          const found: [string, string][] = []
          for (let batch = iterator.nextBatch(size); batch.length > 0; batch = iterator.nextBatch(size)) found.push(...batch)
          iterator.close()
          expect(found).toEqual(wanted)
        }
        expect([...store.entries({ reverse })]).toEqual(wanted)
        expect([...store.values({ reverse })]).toEqual(wanted.map(([, value]) => value))
      }
    }
    await db.close()
  })
})

/** Goal: raw entries are the encoded keys and values of what batches give, both ways, within the limit, and end as batches do. */
test('raw entries are what batches give, as bytes', async () => {
  const environment = newEnvironment(3)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    for (let round = 0; round < 3; round++) {
      for (let i = round; i < 300; i += 3)
        await store.put(`k${String(i).padStart(3, '0')}`, 'v'.repeat(i % 50) + (i % 97 === 0 ? 'é'.repeat(40_000) : ''))
      if (round < 2) await db.seal()
    }
    await store.delRange({ gte: 'k100', lt: 'k120' })
    for (const [reverse, limit, size] of [
      [false, undefined, 7],
      [true, undefined, 1000],
      [false, 50, 20],
    ] as const) {
      const range = { reverse, ...(limit === undefined ? {} : { limit }) }
      const iterator = store.iterator(range)
      const found: [string, string][] = []
      for (;;) {
        const { count, bytes, ends } = iterator.nextRaw(size)
        if (count === 0) break
        for (let i = 0; i < count; i++) {
          const keyEnd = ends[2 * i] as number
          const key = Buffer.from(bytes.subarray(i === 0 ? 0 : ends[2 * i - 1], keyEnd)).toString()
          found.push([key, Buffer.from(bytes.subarray(keyEnd, ends[2 * i + 1])).toString()])
        }
      }
      expect(found).toEqual([...store.entries(range)])
      expect(found.length).toBe(limit ?? 280)
      iterator.close()
      expect(() => iterator.nextRaw()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    }
    const mixed = store.iterator({ gte: 'k001' }) // what comes first is so large that nothing is read ahead
    mixed.next()
    expect(() => mixed.nextRaw()).toThrow(/single steps/)
    expect(() => mixed.nextRaw(0)).toThrow(/^count must/)
    mixed.close()
    await db.close()
  })
})

/** Goal: iterators that share what is used again (cursors, the list of those of one turn) do not get into each other's way, however they end. */
test('many iterators of one turn, ended in any order or kept over turns, each read their range and give their moments back', async () => {
  const environment = newEnvironment(5)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const random = new SimRandom(5)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    const all = Array.from({ length: 300 }, (_, i): [string, string] => [`k${String(i).padStart(3, '0')}`, `v${i}`])
    for (let round = 0; round < 3; round++) {
      await store.batch(all.filter((_, i) => i % 3 === round).map(([key, value]) => ({ type: 'put', key, value }) as const))
      if (round < 2) await db.seal()
    }
    const open = new Set<{ readonly iterator: ReturnType<typeof store.iterator>; readonly wanted: [string, string][] }>()
    for (let step = 0; step < 2000; step++) {
      if (random.chance(0.55) && open.size < 200) {
        const reverse = random.chance(0.5)
        const from = random.below(300)
        const iterator = store.iterator({ gte: all[from]![0], reverse })
        const wanted = all.slice(from)
        open.add({ iterator, wanted: reverse ? wanted.reverse() : wanted })
        continue
      }
      const one = [...open][random.below(open.size)]
      if (one === undefined) continue
      const { iterator, wanted } = one
      const size = 1 + random.below(20)
      expect(iterator.nextBatch(size)).toEqual(wanted.splice(0, size))
      if (random.chance(0.3)) iterator.close()
      if (wanted.length === 0 || random.chance(0.2)) {
        iterator.close()
        open.delete(one)
      } else if (iterator.next().done === true) open.delete(one)
      else wanted.shift()
      if (step % 500 === 499) await store.put(all[0]![0], all[0]![1])
      if (step === 999) await db.seal()
    }
    for (const { iterator } of open) iterator.close()
    expect(coreOf(store).host.snapshots.count).toBe(0)
    await db.close()
  })
})

test('a codec may close the iterator that calls it, and read the same range meanwhile', async () => {
  const environment = newEnvironment(6)
  await environment.drive(async () => {
    const db = await openSim(environment)
    let inside: (() => void) | undefined
    const value = {
      name: 'nosy',
      encode: (text: string) => new TextEncoder().encode(text),
      decode: (bytes: Uint8Array) => {
        const act = inside
        inside = undefined
        act?.()
        return new TextDecoder().decode(bytes)
      },
    }
    const store = db.store<string, string>('s', { keys: 'string', value })
    const all = Array.from({ length: 100 }, (_, i): [string, string] => [`k${String(i).padStart(3, '0')}`, `v${i}`])
    await store.batch(all.map(([key, value]) => ({ type: 'put', key, value }) as const))
    await db.seal()
    const iterator = store.iterator()
    iterator.nextBatch(10)
    inside = () => {
      iterator.close()
      expect([...store.entries()]).toEqual(all)
    }
    expect(iterator.nextBatch(20)).toEqual(all.slice(10, 30))
    expect(() => iterator.nextBatch(1)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    expect([...store.entries({ reverse: true })]).toEqual(all.toReversed())
    expect(coreOf(store).host.snapshots.count).toBe(0)
    await db.close()
  })
})

/**
 * Goal: a walk reads blocks into the same memory again and again, and gives the right entries all the same: values larger than a read ahead, versions of a
 * key over many blocks, which only a snapshot sees, from piece to piece of the bottom, both ways, with other walks between.
 */
test('large values, many versions, several walks at once', async () => {
  const environment = newEnvironment(11)
  await environment.drive(async () => {
    const db = await openSim(environment, { ownSegmentBytes: 16 * 1024 })
    const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
    const wanted = new Map<string, string>()
    const snapshots: { snapshot: Snapshot; entries: [string, string][] }[] = []
    const sorted = (): [string, string][] => [...wanted].sort(([left], [right]) => (left < right ? -1 : 1))
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 60; i++) {
        const key = `k${String(i).padStart(3, '0')}`
        // One key has versions by the dozen, each as large as some blocks.
        const sizes =
          i === 30 ? Array.from({ length: 12 }, (_, j) => 9000 + j) : [i % 7 === 0 ? 70_000 + round : i % 3 === 0 ? 5000 + i : 40]
        for (const size of sizes) {
          const value = `${round} ${key} `.padEnd(size, i % 2 === 0 ? 'x' : 'ü')
          await store.put(key, value)
          wanted.set(key, value)
        }
      }
      await db.seal()
      snapshots.push({ snapshot: db.snapshot(), entries: sorted() })
      if (round === 2) await store.compact()
    }
    for (const reverse of [false, true]) {
      const walks = snapshots.map(({ snapshot, entries }) => ({
        iterator: store.iterator({ snapshot, reverse }),
        entries: reverse ? [...entries].reverse() : entries,
        found: [] as [string, string][],
      }))
      for (let step = 0; step < 62; step++)
        for (const { iterator, entries, found } of walks)
          if (found.length < entries.length) found.push(...(step % 3 === 0 ? iterator.nextBatch(2) : take(iterator)))
      for (const { entries, found } of walks) expect(found).toEqual(entries)
    }
    for (const { snapshot } of snapshots) snapshot.close()
    await db.close()
  })
})

function take<T>(iterator: Iterator<T>): T[] {
  const { done, value } = iterator.next()
  return done === true ? [] : [value]
}

/** Goal: a key whose versions fill many reads is given once, though the memory that its newest one was read to was used again meanwhile. */
test('one key with versions over many reads', async () => {
  const environment = newEnvironment(13)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const store = db.store<string, string>('s', { keys: 'string', value: 'string', history: { retentionMs: 1e9 } })
    const keys = Array.from({ length: 60 }, (_, i) => `k${i + 10}`)
    for (const key of keys) for (let i = 0; i < (key === 'k60' ? 100 : 1); i++) await store.put(key, `${key} ${i} `.padEnd(20_000 + 37 * i))
    await store.compact()
    for (const reverse of [false, true]) {
      const found = [...store.entries({ reverse })].map(([key, value]) => `${key}: ${value.trim()}`)
      const wanted = keys.map(key => `${key}: ${key} ${key === 'k60' ? 99 : 0}`)
      expect(found).toEqual(reverse ? wanted.reverse() : wanted)
    }
    await db.close()
  })
})

/** Goal: single steps over large values do not hold a thousand of them at once. */
test('single steps read ahead by bytes', async () => {
  const environment = newEnvironment(12)
  await environment.drive(async () => {
    const db = await openSim(environment)
    let decoded = 0
    const value = {
      name: 'counting',
      encode: (text: string) => Buffer.from(text),
      decode: (bytes: Uint8Array) => {
        decoded++
        return Buffer.from(bytes).toString()
      },
    }
    const store = db.store<string, string>('s', { keys: 'string', value })
    for (let i = 0; i < 200; i++) await store.put(`k${i}`, 'v'.repeat(20_000))
    await db.seal()
    let given = 0
    for (const _ of store.values()) {
      given++
      expect(decoded - given).toBeLessThan(5)
    }
    expect(given).toBe(200)
    await db.close()
  })
})

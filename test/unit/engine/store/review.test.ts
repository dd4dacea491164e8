/** Bugs that a review of the store found by reading, each with its story. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { STORE_DELETE } from '../../../../engine/batch/store-format.ts'
import { StoreWrites } from '../../../../engine/batch/store-writes.ts'
import type { Database } from '../../../../engine/database.ts'
import type { SegmentReader } from '../../../../engine/segment/reader.ts'
import { coreOf, type Store } from '../../../../engine/store/store.ts'
import { bytesOf, newEnvironment, openSim } from '../../../probes/support.ts'

type Texts = Store<string, string>

/** Values as texts; `onEncode` and `onDecode` are called first and may do anything. */
class Codec {
  readonly name = 'own'
  onEncode: (value: unknown) => void = () => undefined
  onDecode: (text: string) => void = () => undefined

  encode = (value: unknown): Uint8Array => {
    this.onEncode(value)
    return bytesOf(JSON.stringify(value))
  }

  decode = (bytes: Uint8Array): unknown => {
    const text = new TextDecoder().decode(bytes)
    this.onDecode(text)
    return JSON.parse(text)
  }
}

afterEach(() => vi.unstubAllGlobals())

describe('memory that cannot be had', () => {
  test('while a commit is indexed costs nothing: the commit stands in all its stores, and the folder opens again', async () => {
    // The memtable threw in the middle of telling the logs. Logs told later kept their old end, so the next commit took the same offsets again, and
    // recovery refused the folder.
    const environment = newEnvironment(1)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const a: Texts = db.store('a')
      const b: Texts = db.store('b')
      await a.put('first', '1')
      let failures = 1
      const Real = SharedArrayBuffer
      vi.stubGlobal('SharedArrayBuffer', function (this: unknown, size: number) {
        if (failures-- > 0) throw new RangeError('Array buffer allocation failed')
        return new Real(size)
      })
      await b.batch([
        { type: 'put', key: 'k', value: 'b' },
        { type: 'put', key: 'k', value: 'a', store: a as Store },
      ])
      expect(failures).toBeLessThan(1)
      vi.unstubAllGlobals()
      expect([b.get('k'), a.get('k'), a.get('first')]).toEqual(['b', 'a', '1'])
      await Promise.all([a.put('l', '2'), b.put('l', '2')])
      expect([...a.keys()]).toEqual(['first', 'k', 'l'])
    })
    environment.disk.crash()
    const again = newEnvironment(2, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      for (const name of ['a', 'b']) expect(db.store<string, string>(name).get('k')).toBe(name)
      await db.close()
    })
  })
})

describe('a value codec that writes to the store', () => {
  test('does not commit the rows of the batch under way', async () => {
    // Verbs of a handle shared their rows: the inner put committed what the batch had collected, although the batch was refused.
    const environment = newEnvironment(3)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const codec = new Codec()
      const store = db.store<unknown, string>('s', { value: codec })
      const inner: Promise<void>[] = []
      codec.onEncode = value => {
        if (value === 'second') inner.push(store.put('inner', 'x'))
      }
      const batch = store.batch([
        { type: 'put', key: 'first', value: 'first' },
        { type: 'put', key: 'second', value: 'second' },
        { type: 'put', key: 'third', value: undefined },
      ])
      await expect(batch).rejects.toThrow(TypeError)
      await Promise.all(inner)
      expect([...store.keys()]).toEqual(['inner'])
      await db.close()
    })
  })

  test('is refused while values are indexed, so that indexes and store agree', async () => {
    // The inner put cleared the index rows of the outer one; in a build, those of the step, whose position moved on all the same.
    const environment = newEnvironment(4)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const codec = new Codec()
      const plain = db.store<unknown, string>('s', { value: codec })
      for (const key of ['a', 'b', 'c']) await plain.put(key, { x: key })
      const inner: Promise<unknown>[] = []
      codec.onDecode = text => {
        if (text.includes('b') || text.includes('e')) inner.push(plain.put('inner', { x: 'inner' }).catch((error: unknown) => error))
      }
      const store = db.store<unknown, string>('s', { value: codec, indexes: { x: 'x' } })
      await store.ready()
      await store.batch(['d', 'e'].map(key => ({ type: 'put', key, value: { x: key } }) as const))
      expect(await Promise.all(inner)).toEqual([expect.any(TypeError), expect.any(TypeError)])
      expect([...store.index('x').keys()]).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect([...store.keys()]).toEqual(['a', 'b', 'c', 'd', 'e'])
      await db.close()
    })
  })
})

describe('an iterator', () => {
  test('loses no entry to one that cannot be decoded', async () => {
    // What had been read of the batch was thrown away with the error, and the walk went on behind it.
    const environment = newEnvironment(5)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const codec = new Codec()
      const store = db.store<unknown, string>('s', { value: codec })
      for (let i = 0; i < 6; i++) await store.put(`k${i}`, i)
      for (const reverse of [false, true]) {
        codec.onDecode = text => {
          if (text === '3') throw new Error('bad value')
        }
        const expected = reverse ? [5, 4, 3, 2, 1, 0] : [0, 1, 2, 3, 4, 5]
        const before = expected.slice(0, expected.indexOf(3))
        const batches = store.values({ reverse })
        expect(() => batches.nextBatch(10)).toThrow('bad value')
        expect(() => batches.nextBatch(10)).toThrow('bad value')
        const single: unknown[] = []
        const values = store.values({ reverse, limit: 5 })
        expect(() => {
          for (const value of values) single.push(value)
        }).toThrow('bad value')
        expect(single).toEqual(before)
        codec.onDecode = () => undefined
        expect(batches.nextBatch(10)).toEqual(expected)
        expect(values.nextBatch(10)).toEqual(expected.slice(before.length, 5))
        batches.close()
        values.close()
      }
      await db.close()
    })
  })

  test.each([false, true])('shows each entry once when a read failed and is tried again, reverse %s', async reverse => {
    // After the failure the merged walk went on with sources that stood anywhere: entries came twice, or whole runs were left out.
    const environment = newEnvironment(6)
    await environment.drive(async () => {
      const db = await openSim(environment, { autoConsolidate: false })
      const store: Texts = db.store('s', { value: 'string' })
      const keys = Array.from({ length: 3000 }, (_, i) => `k${String(i).padStart(5, '0')}`)
      for (let run = 0; run < 3; run++) {
        await store.batch(
          keys.filter((_, i) => i % 3 >= run).map(key => ({ type: 'put', key, value: `${key} ${run} ${'x'.repeat(40)}` }) as const),
        )
        await db.seal()
      }
      const readers = new Set<SegmentReader>(coreOf(store).table.runs.flatMap(({ pieces }) => pieces.map(({ part }) => part.reader)))
      let reads = 0
      for (const reader of readers) {
        const { readBlocks, readBlockInto } = reader
        const count = (): void => {
          if (reads++ % 4 === 3) throw new Error('no such luck')
        }
        vi.spyOn(reader, 'readBlocks').mockImplementation((...given) => {
          count()
          return readBlocks.apply(reader, given)
        })
        vi.spyOn(reader, 'readBlockInto').mockImplementation((...given) => {
          count()
          readBlockInto.apply(reader, given)
        })
      }
      const iterator = store.keys({ reverse })
      const found: string[] = []
      for (let failures = 0; failures < 200; ) {
        try {
          const batch = iterator.nextBatch(100)
          if (batch.length === 0) break
          found.push(...batch)
        } catch (error) {
          failures++
          expect((error as Error).message).toBe('no such luck')
        }
      }
      expect(found.length).toBe(keys.length)
      expect(found).toEqual(reverse ? keys.reverse() : keys)
      expect(reads).toBeGreaterThan(20)
      vi.restoreAllMocks()
      iterator.close()
      await db.close()
    })
  })
})

describe('getAsync', () => {
  test('that close overtakes says CLOSED', async () => {
    // It gave pins back to a manifest that was closed, and told of a broken invariant.
    const environment = newEnvironment(7)
    await environment.drive(async () => {
      const db = await openSim(environment, { autoConsolidate: false })
      const store: Texts = db.store('s')
      for (let run = 0; run < 40; run++) {
        await store.batch(Array.from({ length: 20 }, (_, i) => ({ type: 'put', key: `k${i}`, value: `${run}` }) as const))
        await db.seal()
      }
      const got = store.getAsync('k7')
      const closed = db.close()
      await expect(got).rejects.toMatchObject({ code: 'CLOSED' })
      await closed
    })
  })
})

describe('delRange', () => {
  test('of what holds nothing writes nothing', async () => {
    // An open end was taken from the last key, which may lie before the beginning: the feed told of a range that ends before it begins.
    const environment = newEnvironment(8)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const store: Texts = db.store('s', { changes: true })
      await store.put('a', '1')
      await store.delRange({ gt: 'a' })
      await store.delRange({ gte: 'z' })
      expect(store.readChanges(0).changes.map(({ type }) => type)).toEqual(['put'])
      await store.delRange({ gte: 'a' })
      expect(store.readChanges(0).changes.map(({ type }) => type)).toEqual(['put', 'delRange'])
      await db.close()
    })
  })
})

describe('range deletes', () => {
  test('of open ranges in a batch reach over the rows before them, whatever batches came before', async () => {
    // Each looked at all rows before it for the largest key: what that is must be right when only the new ones are looked at.
    const environment = newEnvironment(13)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const store: Texts = db.store('s')
      const put = (key: string) => ({ type: 'put', key, value: key }) as const
      const deleteFrom = (gte: string) => ({ type: 'delRange', range: { gte } }) as const
      await store.batch([put('z'), put('a'), deleteFrom('b'), put('c'), put('x'), deleteFrom('d')])
      expect([...store.keys()]).toEqual(['a', 'c'])
      await store.batch([put('b'), put('y'), deleteFrom('c'), put('x')])
      expect([...store.keys()]).toEqual(['a', 'b', 'x'])
      await db.close()
    })
  })

  test('of one run are found at any moment', async () => {
    // Every get went through all of them. Now they are cut into ranges for reads that see the whole run; older snapshots see fewer.
    const environment = newEnvironment(14)
    await environment.drive(async () => {
      const db = await openSim(environment, { autoConsolidate: false })
      const store: Texts = db.store('s')
      const key = (i: number): string => `k${String(i).padStart(3, '0')}`
      const keys = Array.from({ length: 200 }, (_, i) => key(i))
      await store.batch(keys.map(each => ({ type: 'put', key: each, value: each }) as const))
      await db.seal()
      let left = new Set(keys)
      const moments = [{ snapshot: db.snapshot(), left }]
      for (let i = 0; i < 25; i++) {
        const [from, to] = [(i * 67) % 190, ((i * 67) % 190) + (i % 7)]
        await store.delRange({ gte: key(from), lt: key(to) })
        left = new Set([...left].filter(each => each < key(from) || each >= key(to)))
        moments.push({ snapshot: db.snapshot(), left })
      }
      await db.seal()
      await store.put('last', 'x')
      for (const { snapshot, left: expected } of moments) expect(keys.filter(each => store.has(each, { snapshot }))).toEqual([...expected])
      expect(keys.filter(each => store.has(each))).toEqual([...left])
      await db.close()
    })
  })
})

describe('a log that was defined by hand under the name of a store', () => {
  test('is told apart from a store', async () => {
    // Options that were not there were read: a TypeError of nobody's argument.
    const environment = newEnvironment(9)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 'store/x', kind: 'store' }])
      const store = db.store('x')
      await expect(store.ready()).rejects.toMatchObject({ code: 'DEFINITION_MISMATCH' })
      expect(() => store.get('k')).toThrow(expect.objectContaining({ code: 'DEFINITION_MISMATCH' }))
      await db.close()
    })
  })
})

describe('an entry that lives for longer than times go', () => {
  test('is written, and stays', async () => {
    // Its time was no key of the expiry queue, whose invariant broke.
    const environment = newEnvironment(11)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const store: Texts = db.store('s', { ttlMs: 1e16 })
      await store.put('a', '1')
      await store.put('b', '2', { ttlMs: Number.MAX_VALUE })
      await db.seal()
      await new Promise<void>(resolve => environment.timers.after(25_000, resolve))
      expect([...store.keys()]).toEqual(['a', 'b'])
      await db.close()
    })
  })
})

describe('memory after a large commit', () => {
  const collectGarbage = (): void => {
    setFlagsFromString('--expose-gc')
    ;(runInNewContext('gc') as () => void)()
  }

  test('of many small rows is given back', async () => {
    // The bytes of rows were let go, but not the arrays beside them, 17 bytes a row in each handle, index and queue.
    const writes = new StoreWrites()
    const bytes = bytesOf('k')
    collectGarbage()
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 1_000_000; i++) writes.add(STORE_DELETE, bytes, 0, 1, bytes, 0, 0, 0)
    writes.clear()
    // V8 sweeps the buffers of a collection in a thread of its own: what is garbage counts until that has come past.
    const kept = (): number => {
      collectGarbage()
      return process.memoryUsage().arrayBuffers - before
    }
    await expect.poll(kept, { timeout: 4000 }).toBeLessThan(8 * 1024 * 1024)
    writes.add(STORE_DELETE, bytes, 0, 1, bytes, 0, 0, 0)
    expect([writes.count, writes.kind(0), writes.key(0)]).toEqual([1, STORE_DELETE, bytes])
  })

  test('does not keep the records of topics that were in it', async () => {
    // The indexes of a store remember their last commit, and that held all its operations.
    const environment = newEnvironment(12)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 't', kind: 'topic' }])
      const store: Texts = db.store('s')
      const record = await appendBeside(db, store)
      for (let i = 0; i < 3; i++) await new Promise<void>(resolve => setImmediate(resolve))
      collectGarbage()
      expect(record.deref()).toBe(undefined)
      await db.close()
    })
  })
})

async function appendBeside(db: Database, store: Texts): Promise<WeakRef<object>> {
  const record = { value: bytesOf('record') }
  await db.transaction(tx => {
    tx.store(store).put('k', 'v')
    tx.log(db.log('t')).appendRecords([record])
  })
  return new WeakRef<object>(record)
}

describe('a store that was dropped', () => {
  test('is not kept in memory', async () => {
    // The database held its core, and with it indexes of runs, for as long as it was open.
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const environment = newEnvironment(10)
    await environment.drive(async () => {
      const db = await openSim(environment)
      const table = await droppedTable(db)
      for (let i = 0; i < 3; i++) await new Promise<void>(resolve => setImmediate(resolve))
      collect()
      expect(table.deref()).toBe(undefined)
      await db.close()
    })
  })
})

async function droppedTable(db: Database): Promise<WeakRef<object>> {
  const store: Texts = db.store('s')
  await store.put('k', 'v')
  await db.dropStore('s')
  return new WeakRef<object>(coreOf(store).table)
}

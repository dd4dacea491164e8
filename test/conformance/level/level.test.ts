/** Goal: what `varve/level` promises beyond abstract-level's suite: locking, durability, bounds of memory, moments, ranges. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isVarveError } from '../../../engine/index.ts'
import { VarveLevel, type VarveLevelOptions } from '../../../level/index.ts'
import { newEnvironment, smallOptions } from '../../probes/support.ts'

let root: string
let count = 0

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'varve-level-'))
})

afterAll(() => {
  rmSync(root, { recursive: true, force: true })
})

function fresh(options: VarveLevelOptions<string, string> = {}): VarveLevel {
  return new VarveLevel(join(root, String(count++)), { durability: 'buffered', ...options })
}

async function withLevel(run: (db: VarveLevel) => Promise<void>, options?: VarveLevelOptions<string, string>): Promise<void> {
  const db = fresh(options)
  try {
    await run(db)
  } finally {
    await db.close()
  }
}

interface LevelError extends Error {
  readonly code?: string
  readonly cause?: LevelError
}

/** The error that a promise rejects with. */
async function errorOf(promise: Promise<unknown>): Promise<LevelError> {
  try {
    await promise
  } catch (error) {
    return error as LevelError
  }
  throw new Error('it did not reject')
}

describe('opening', () => {
  test('a folder that is open gives LEVEL_LOCKED as the cause, and opens after the first one was closed', async () => {
    const first = fresh()
    await first.open()
    const second = new VarveLevel(first.location)
    const error = await errorOf(second.open())
    expect(error.code).toBe('LEVEL_DATABASE_NOT_OPEN')
    expect(error.cause?.code).toBe('LEVEL_LOCKED')
    expect(isVarveError(error.cause?.cause, 'LOCKED')).toBe(true)
    await first.close()
    await second.open()
    expect(second.status).toBe('open')
    await second.close()
  })

  test('data is there after reopening, of the same object and of another', async () => {
    const db = fresh()
    await db.put('a', '1')
    await db.close()
    await db.open()
    expect(await db.get('a')).toBe('1')
    await db.close()
    const other = new VarveLevel<string, unknown>(db.location, { valueEncoding: 'json', createIfMissing: false })
    expect(await other.get('a')).toBe(1)
    await other.close()
  })

  test("Varve's options are passed on and checked; other names are left to hooks", async () => {
    await withLevel(
      async db => {
        await db.open()
        expect(db.database.options).toMatchObject({ durability: 'none', memoryBytesMax: 8 * 1024 * 1024 })
      },
      { durability: 'none', memoryBytesMax: 8 * 1024 * 1024, userland: 1 } as VarveLevelOptions<string, string>,
    )
    const error = await errorOf(fresh({ memoryBytesMax: -1 }).open())
    expect(error.cause).toBeInstanceOf(RangeError)
    expect(error.cause?.message).toContain('memoryBytesMax')
  })

  test('a location that is no folder name is refused; the database underneath is there only while it is open', async () => {
    expect(() => new VarveLevel('')).toThrow(TypeError)
    expect(() => new VarveLevel(undefined as unknown as string)).toThrow("'location'")
    const db = fresh()
    expect(() => db.database).toThrow('not open')
    await db.open()
    expect(db.database.storeNames()).toEqual(['level'])
    await db.close()
    expect(() => db.database).toThrow('not open')
  })
})

describe('moments', () => {
  test('get, getMany and hasMany see the moment of their call', async () => {
    await withLevel(async db => {
      await db.batch(Array.from({ length: 200 }, (_, i) => ({ type: 'put', key: `k${i}`, value: 'old' }) as const))
      const reads = Promise.all([db.get('k0'), db.getMany(['k0', 'k199']), db.hasMany(Array.from({ length: 200 }, (_, i) => `k${i}`))])
      const writes = [db.put('k0', 'new'), db.put('k199', 'new'), db.clear({ gte: 'k1' })]
      const [one, many, has] = await reads
      expect(one).toBe('old')
      expect(many).toEqual(['old', 'old'])
      expect(has.every(Boolean)).toBe(true)
      await Promise.all(writes)
    })
  })

  test('a snapshot of another database is refused', async () => {
    await withLevel(async one => {
      await withLevel(async other => {
        await one.open()
        await other.open()
        const snapshot = other.snapshot()
        expect((await errorOf(one.get('a', { snapshot }))).message).toContain('snapshot of this database')
        expect(() => one.iterator({ snapshot })).toThrow('snapshot of this database')
      })
    })
  })

  test('closing the database closes snapshots, so that nothing is kept for them', async () => {
    const db = fresh()
    await db.open()
    const snapshot = db.snapshot()
    await db.close()
    await db.open()
    expect((await errorOf(db.get('a', { snapshot }))).code).toBe('LEVEL_SNAPSHOT_NOT_OPEN')
    await db.close()
  })
})

describe('ranges', () => {
  const keys = Array.from({ length: 10 }, (_, i) => String(i))
  const put = (db: VarveLevel) => db.batch(keys.map(key => ({ type: 'put', key, value: key }) as const))

  test('seeking outside of the range finds nothing, inside goes on within it; on sublevels too', async () => {
    await withLevel(async root => {
      for (const db of [root, root.sublevel('sub') as unknown as VarveLevel]) {
        await db.open()
        await db.batch(keys.map(key => ({ type: 'put', key, value: key }) as const))
        const found = async (range: object, target: string): Promise<string | undefined> => {
          const iterator = db.keys(range)
          iterator.seek(target)
          const key = await iterator.next()
          await iterator.close()
          return key
        }
        expect(await found({ gt: '5' }, '4')).toBeUndefined()
        expect(await found({ gt: '5' }, '5')).toBeUndefined()
        expect(await found({ gt: '5' }, '50')).toBe('6')
        expect(await found({ gte: '5', gt: '7' }, '5')).toBe('5')
        expect(await found({ lt: '5' }, '5')).toBeUndefined()
        expect(await found({ lte: '5' }, '5')).toBe('5')
        expect(await found({ lt: '5', reverse: true }, '6')).toBeUndefined()
        expect(await found({ lt: '5', reverse: true }, '4')).toBe('4')
        expect(await found({ gte: '5', reverse: true }, '55')).toBe('5')
      }
    })
  })

  test('seeking after single reads gives up what was read ahead, and not the limit', async () => {
    await withLevel(async db => {
      await put(db)
      const iterator = db.keys({ limit: 5 })
      expect([await iterator.next(), await iterator.next(), await iterator.next()]).toEqual(['0', '1', '2'])
      iterator.seek('8')
      expect(await iterator.nextv(10)).toEqual(['8', '9'])
      expect(await iterator.next()).toBeUndefined()
      iterator.seek('0')
      expect(await iterator.next()).toBeUndefined()
      await iterator.close()
    })
  })

  test('clear honours a limit, its direction, and a snapshot', async () => {
    await withLevel(async db => {
      await put(db)
      await db.clear({ limit: 2, reverse: true, lt: '9' })
      expect((await db.keys().all()).join('')).toBe('01234569')
      const snapshot = db.snapshot()
      await db.put('00', 'later')
      await db.put('1', 'later')
      await db.clear({ snapshot, lt: '4' })
      expect((await db.keys().all()).join(' ')).toBe('00 4 5 6 9')
      await snapshot.close()
    })
  })

  test('large reads let others run and stop at an aborted signal', async () => {
    await withLevel(async db => {
      await db.batch(Array.from({ length: 5000 }, (_, i) => ({ type: 'put', key: `k${i}`, value: 'x' }) as const))
      const controller = new AbortController()
      const iterator = db.iterator({ signal: controller.signal })
      setImmediate(() => controller.abort())
      const error = await errorOf(iterator.nextv(5000))
      expect([error.name, error.code]).toEqual(['AbortError', 'LEVEL_ABORTED'])
      await iterator.close()
      expect(await db.values().all()).toHaveLength(5000)
    })
  })

  test('keys and values are bytes of their own in every format', async () => {
    await withLevel(async db => {
      const key = Buffer.from([0, 255, 128])
      await db.put(key, '\uFEFFé', { keyEncoding: 'buffer' })
      expect(await db.get(key, { keyEncoding: 'buffer' })).toBe('\uFEFFé')
      const [entry] = await db.iterator<Uint8Array, Buffer>({ keyEncoding: 'view', valueEncoding: 'buffer' }).all()
      expect(Buffer.isBuffer(entry?.[1])).toBe(true)
      expect(entry?.[0].constructor).toBe(Uint8Array)
      entry?.[0].fill(1)
      entry?.[1].fill(1)
      expect(await db.get(key, { keyEncoding: 'buffer' })).toBe('\uFEFFé')
      // Neither is wanted: entries all the same.
      expect(await db.iterator({ keys: false, values: false }).all()).toEqual([[undefined, undefined]])
    })
  })
})

describe('writes', () => {
  test('any number of writes that nobody awaits is taken, in order, within bounds; close waits for them', async () => {
    const db = fresh({ durability: 'sync', ...smallOptions, pendingBytesMax: 8 * 1024, tailBytesMax: 256 * 1024 })
    await db.open()
    const value = 'v'.repeat(900)
    const written: Promise<void>[] = []
    for (let i = 0; i < 400; i++) {
      written.push(db.put(`k${i % 7}`, `${i} ${value}`))
      if (i % 3 === 0) written.push(db.put(`k${i % 7}`, `${i} small`))
    }
    await db.close()
    await Promise.all(written)
    await db.open()
    const values = await db.values().all()
    expect(values.map(text => text.split(' ')[0])).toEqual(
      ['399', '393', '394', '395', '396', '397', '398'].sort((a, b) => (+a % 7) - (+b % 7)),
    )
    expect(db.getSync(`k${399 % 7}`)).toBe('399 small')
    await db.close()
  })

  test('sync is the word that acknowledges: false survives the process, true survives power loss', async () => {
    const run = async (sync: boolean | undefined, end: 'crash' | 'kill'): Promise<string | undefined> => {
      const environment = newEnvironment(7)
      await environment.drive(async () => {
        const db = new VarveLevel('/data/db', { ...smallOptions, durability: 'none', environment })
        await db.open()
        await db.put('a', '1', sync === undefined ? {} : { sync })
      })
      if (end === 'crash') environment.disk.crash({ writes: 'none', inFlight: 'none' })
      else environment.disk.processKill()
      const again = newEnvironment(8, environment.disk)
      let found: string | undefined
      await again.drive(async () => {
        const db = new VarveLevel('/data/db', { ...smallOptions, environment: again })
        await db.open()
        found = await db.get('a')
        await db.close()
      })
      return found
    }
    expect(await run(undefined, 'kill')).toBeUndefined()
    expect(await run(false, 'kill')).toBe('1')
    expect(await run(false, 'crash')).toBeUndefined()
    expect(await run(true, 'crash')).toBe('1')
  })

  test('sync must be a boolean', async () => {
    await withLevel(async db => {
      expect((await errorOf(db.put('a', '1', { sync: 'yes' as unknown as boolean }))).message).toContain('sync must be true or false')
      expect((await errorOf(db.batch([{ type: 'del', key: 'a' }], { sync: 1 as unknown as boolean }))).message).toContain('sync')
      expect((await errorOf(db.clear({ sync: 1 as unknown as boolean }))).message).toContain('sync')
    })
  })

  test('a batch is one commit', async () => {
    await withLevel(async db => {
      await db.open()
      const before = db.snapshot()
      await db.batch([
        { type: 'put', key: 'a', value: '1' },
        { type: 'del', key: 'a' },
        { type: 'put', key: 'b', value: '2' },
      ])
      expect(await db.iterator().all()).toEqual([['b', '2']])
      expect(await db.iterator({ snapshot: before }).all()).toEqual([])
      await before.close()
    })
  })
})

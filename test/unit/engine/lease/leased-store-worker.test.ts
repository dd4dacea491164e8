/**
 * Goal: a worker thread reads a whole store by range and by key at the moment of its lease, without pause, while the owner overwrites, deletes, flushes,
 * compacts and drops it; the files go when the worker releases. Real threads on a real folder; workers run the compiled engine.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Database, openDatabase } from '../../../../engine/database.ts'
import type { Store } from '../../../../engine/store/store.ts'
import type { CustomValueCodec } from '../../../../engine/store/value-codec.ts'
import { smallOptions } from '../../../probes/support.ts'

interface Seen {
  readonly entries: string
  readonly back: string
  readonly byKey: string
  readonly count: number
  readonly rounds: number
}

const reversed: CustomValueCodec<Uint8Array> = {
  name: 'reversed',
  encode: value => Uint8Array.prototype.slice.call(value).reverse(),
  decode: bytes => bytes.reverse(),
}
const keys = Array.from({ length: 160 }, (_, i) => `key ${i}`)

let folder: string
let db: Database
let store: Store<Uint8Array, string>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-leased-store-'))
  db = await openDatabase(join(folder, 'db'), { ...smallOptions, ownSegmentBytes: 1, durability: 'none' })
  store = db.store<Uint8Array, string>('s', { value: reversed, compression: 'snappy' })
})

afterEach(async () => {
  await db.close()
  rmSync(folder, { recursive: true, force: true })
})

/** One round of writes over all keys. */
async function write(round: number): Promise<void> {
  for (const [i, key] of keys.entries()) {
    if ((i + round) % 5 === 0) continue
    const written = (i + round) % 7 === 0 ? store.del(key) : store.put(key, Buffer.from(`${round}:${i}`.padEnd(120, 'v')))
    if (i % 50 === 0) await written
  }
  await db.flush()
}

function digest(items: Iterable<unknown>): string {
  const hash = createHash('sha1')
  for (const item of items) hash.update(String(item)).update(';')
  return hash.digest('hex')
}

const momentOf = (): Omit<Seen, 'rounds'> => ({
  entries: digest(store.entries()),
  back: digest(store.entries({ reverse: true })),
  byKey: digest(store.getMany(keys)),
  count: store.count(),
})

function answer(worker: Worker): Promise<Seen> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

test('a worker sees the store of its lease whatever the owner does to it; the files go when it releases', async () => {
  await write(0)
  await db.seal()
  await write(1)
  await store.delRange({ gte: 'key 30', lt: 'key 33' })
  const expected = momentOf()
  const lease = db.lease({ stores: ['s'] })
  const worker = new Worker(new URL('leased-store-worker.mjs', import.meta.url), { workerData: { name: 's', keys } })
  const description = lease.share(worker)
  const paths = [...new Set(description.stores.flatMap(({ runs }) => runs.map(({ path }) => path)))]
  expect(paths.length).toBeGreaterThan(0)
  expect(description.stores[0]?.memtables.length).toBeGreaterThan(0)
  await write(2) // before the worker has begun
  const first = answer(worker)
  worker.postMessage(description)
  expect(await first).toEqual({ ...expected, rounds: 1 })

  for (let round = 3; round < 6; round++) {
    await write(round)
    if (round % 2 === 0) await db.seal()
    else await store.compact()
  }
  await store.clear()
  await store.compact()
  await db.consolidate()
  const during = answer(worker)
  worker.postMessage('ask')
  expect(await during).toEqual({ ...expected, rounds: expect.any(Number) })
  lease.release()
  await db.dropStore('s')
  const other = db.store<string>('other')
  const fill = async (): Promise<void> => {
    for (let i = 0; i < 40; i++) other.put(i, 'w'.repeat(500)).catch(() => undefined) // `seal` tells
    await db.seal()
  }
  for (let i = 0; i < 2; i++) await fill()
  const after = answer(worker)
  worker.postMessage('ask')
  const { rounds, ...moment } = await after
  expect(moment).toEqual(expected)
  expect(rounds).toBeGreaterThan(3)
  expect(paths.filter(path => existsSync(path))).toEqual(paths)

  const released = answer(worker)
  worker.postMessage('release')
  await released
  for (let i = 0; i < 40 && paths.some(path => existsSync(path)); i++) await fill()
  expect(paths.filter(path => existsSync(path))).toEqual([])
  expect(db.stats().leases).toBe(0)
  await worker.terminate()
})

test('the end of a worker releases its copy', async () => {
  await write(0)
  await db.seal()
  const lease = db.lease({ stores: ['s'] })
  const worker = new Worker(new URL('leased-store-worker.mjs', import.meta.url), { workerData: { name: 's', keys } })
  const first = answer(worker)
  worker.postMessage(lease.share(worker))
  await first
  lease.release()
  expect(db.stats().leases).toBe(1)
  await worker.terminate()
  expect(db.stats().leases).toBe(0)
})

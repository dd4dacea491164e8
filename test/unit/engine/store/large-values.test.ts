/** Goal: values of a megabyte and of 64 MB are values like any other, wherever they are read from; what exceeds a commit is told by the limit, and changes nothing. */
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createNodeEnvironment, resolveWorkerUrl } from '../../../../engine/env/index.ts'
import { type Database, type OpenOptions, openDatabase, openLease, restore, type Store, verify } from '../../../../engine/index.ts'

const MiB = 1024 * 1024
const root = fs.mkdtempSync(join(tmpdir(), 'varve-large-'))
const environment = createNodeEnvironment({
  worker: resolveWorkerUrl(new URL('../../../../engine/database.ts', import.meta.url).href, 'engine/worker'),
})
afterAll(() => fs.rmSync(root, { recursive: true, force: true }))

const open = (path: string, options: OpenOptions = {}): Promise<Database> => openDatabase(path, { environment, ...options })

/** Bytes that differ from place to place, and by number. */
function bytesOf(number: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; at += 4096) bytes[at] = (at / 4096 + number) & 0xff
  bytes[size - 1] = number
  return bytes
}

const sizes: Readonly<Record<string, number>> = { large: MiB, 'larger than all': 64 * MiB, small: 10 }
const keys = Object.keys(sizes).sort()

function expectAll(store: Pick<Store<Uint8Array, string>, 'get' | 'entries'>, round: number): void {
  for (const [key, size] of Object.entries(sizes)) expect(Buffer.compare(store.get(key) as Uint8Array, bytesOf(round, size)), key).toBe(0)
  const entries = [...store.entries()]
  expect(entries.map(([key]) => key)).toEqual(keys)
  for (const [key, value] of entries) expect(Buffer.compare(value, bytesOf(round, sizes[key] as number)), key).toBe(0)
}

async function putAll(store: Store<Uint8Array, string>, round: number): Promise<void> {
  for (const [key, size] of Object.entries(sizes)) await store.put(key, bytesOf(round, size))
}

test('put, get, iterate, reopen, flush, compact, feed, lease, backup, restore', async () => {
  const path = join(root, 'data')
  let db = await open(path)
  let store = db.store<Uint8Array, string>('blobs', { value: 'bytes', changes: true })
  await putAll(store, 1)
  expectAll(store, 1)
  await db.close()
  db = await open(path)
  store = db.store('blobs')
  expectAll(store, 1)
  await db.seal()
  expectAll(store, 1)
  await putAll(store, 2)
  await db.seal()
  await store.compact()
  expectAll(store, 2)
  expect(store.stats().records).toBe(3)
  expect((await store.getAsync('larger than all'))?.length).toBe(64 * MiB)
  const told: number[] = []
  for (let position = 0, read = 1; read > 0; ) {
    const { changes, position: next } = store.readChanges(position)
    for (const change of changes) if (change.type === 'put') told.push(change.value.length)
    position = next
    read = changes.length
  }
  expect(told).toEqual([...Object.values(sizes), ...Object.values(sizes)])
  const lease = db.lease({ stores: ['blobs'] })
  const opened = await openLease(lease.share())
  expectAll(opened.store<Uint8Array, string>('blobs'), 2)
  opened.release()
  lease.release()
  await db.backup(join(root, 'backup'))
  await db.close()
  await restore(join(root, 'backup'), join(root, 'restored'))
  expect((await verify(join(root, 'restored'))).findings).toEqual([])
  const restored = await open(join(root, 'restored'))
  expectAll(restored.store<Uint8Array, string>('blobs'), 2)
  await restored.close()
}, 120_000)

test('objects and texts of many megabytes, and an index beside them', async () => {
  const db = await open(join(root, 'objects'))
  const store = db.store<{ name: string; text: string; list: number[] }, string>('s', { indexes: { name: 'name' } })
  await store.ready()
  const value = { name: 'long', text: 'é'.repeat(8 * MiB), list: Array.from({ length: 100_000 }, (_, i) => i) }
  await store.put('a', value)
  await store.put('b', value)
  await db.seal()
  expect(store.get('b')).toEqual(value)
  expect(
    store
      .index('name')
      .getAll('long')
      .map(({ text }) => text.length),
  ).toEqual([8 * MiB, 8 * MiB])
  await db.close()
}, 60_000)

test('beyond a commit: TOO_LARGE names commitBytesMax, for one value as for a batch; what was there stays, and smaller ones go on', async () => {
  const db = await open(join(root, 'limit'), { commitBytesMax: 8 * MiB })
  const store = db.store<Uint8Array, string>('s', { value: 'bytes' })
  await store.put('k', bytesOf(1, MiB))
  const tooLarge = {
    code: 'TOO_LARGE',
    message: expect.stringContaining('commitBytesMax'),
    details: { limit: 'commitBytesMax', expected: 8 * MiB },
  }
  await expect(store.put('k', new Uint8Array(8 * MiB))).rejects.toMatchObject(tooLarge)
  const parts = Array.from({ length: 9 }, (_, i) => ({ type: 'put' as const, key: `${i}`, value: new Uint8Array(MiB) }))
  await expect(store.batch(parts)).rejects.toMatchObject(tooLarge)
  await expect(db.transaction(tx => tx.store(store).put('k', new Uint8Array(9 * MiB)))).rejects.toMatchObject(tooLarge)
  expect(Buffer.compare(store.get('k') as Uint8Array, bytesOf(1, MiB))).toBe(0)
  expect(store.count()).toBe(1)
  await store.put('k', bytesOf(2, MiB))
  expect(store.get('k')?.at(-1)).toBe(2)
  await db.close()
})

test('beyond what any option allows: the same, before anything is copied', async () => {
  const db = await open(join(root, 'hard limit'))
  const store = db.store<Uint8Array, string>('s', { value: 'bytes' })
  // Memory that nobody touches takes none.
  const huge = new Uint8Array(2 ** 30 + 1)
  await expect(store.put('k', huge)).rejects.toMatchObject({ code: 'TOO_LARGE', details: { limit: 'commitBytesMax' } })
  expect(store.has('k')).toBe(false)
  await store.put('k', new Uint8Array(1))
  await db.close()
})

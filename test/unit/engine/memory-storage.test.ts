/**
 * Goal: an application that uses stores and logs runs unchanged over `storage: 'memory'`, with nothing on disk: flushed, merged and read back from
 * segments as with files, one database apart from the other, and gone at close. And wrong uses are told by name.
 */
import { existsSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type Database, decodeRecords, type LocalLog, type OpenOptions, open } from '../../../index.ts'

const KiB = 1024
/** Small files: flushes and merges within a few hundred kilobytes. */
const small = {
  storage: 'memory',
  commitLogFileBytesFirst: 16 * KiB,
  commitLogFileBytes: 32 * KiB,
  frameBytesMax: 8 * KiB,
  ownSegmentBytes: 8 * KiB,
} as const satisfies OpenOptions

interface Order {
  readonly customer: string
  readonly cents: number
  readonly note: string
}

/** The application: orders in a store with totals beside it, and a topic that tells what happened; one transaction each. */
async function placeOrder(db: Database, id: string, order: Order): Promise<void> {
  const orders = db.store<Order>('orders', { value: 'json' })
  const totals = db.store<number>('totals', { value: 'json' })
  await db.transaction(tx => {
    const total = tx.store(totals).get(order.customer) ?? 0
    tx.store(orders).put(id, order)
    tx.store(totals).put(order.customer, total + order.cents)
    tx.log(db.log('events')).appendRecords([{ key: id, value: `${order.customer} ${order.cents}` }])
  })
}

function eventsOf(log: LocalLog): string[] {
  const found: string[] = []
  const decoder = new TextDecoder()
  for (let offset = log.startOffset; offset < log.highWatermark; ) {
    const slice = log.read(offset)
    for (const position of slice.positions) {
      for (const record of decodeRecords(slice.bytes, position))
        found.push(`${decoder.decode(record.key!)} ${decoder.decode(record.value!)}`)
    }
    offset = slice.nextOffset
  }
  return found
}

test('an application runs over it: transactions, iterators, segments, merges; the disk shows nothing', async () => {
  // Other tests, at the same time, make the folder for reports.
  const names = (): string[] => readdirSync('.').filter(name => name !== 'reports')
  const before = names()
  const db = await open('shop-in-memory', small)
  await db.define([{ name: 'events', kind: 'topic' }])
  const expected = new Map<string, Order>()
  const events: string[] = []
  const totals = new Map<string, number>()
  for (let i = 0; i < 600; i++) {
    const id = `order-${String((i * 7919) % 500).padStart(4, '0')}`
    const order = { customer: `customer ${i % 7}`, cents: i, note: 'n'.repeat(200 + (i % 50)) }
    await placeOrder(db, id, order)
    expected.set(id, order)
    totals.set(order.customer, (totals.get(order.customer) ?? 0) + i)
    events.push(`${id} ${order.customer} ${i}`)
  }
  // Larger than a frame: it travels through a staging file.
  const large = { customer: 'large', cents: 1, note: 'n'.repeat(40 * KiB) }
  await db.store<Order>('orders').put('staged', large)
  expected.set('staged', large)
  expect(db.stats().commitLog.stagedCommits).toBe(1)
  await db.seal()
  await db.store('orders').compact()
  await db.consolidate()
  const { flush, segments, merge } = db.stats()
  expect(flush.flushes).toBeGreaterThan(2)
  expect(segments.count).toBeGreaterThan(0)
  expect(merge.merges).toBeGreaterThan(0)

  const orders = db.store<Order>('orders')
  const sorted = [...expected].sort(([left], [right]) => (left < right ? -1 : 1))
  const read: [string, Order][] = []
  for (const [key, value] of orders.entries()) read.push([key as string, value])
  expect(read).toEqual(sorted)
  expect(orders.get('order-0007')).toEqual(expected.get('order-0007'))
  expect(await orders.getAsync('order-0008')).toEqual(expected.get('order-0008'))
  for (const [customer, total] of totals) expect(db.store<number>('totals').get(customer)).toBe(total)
  expect(eventsOf(db.log('events'))).toEqual(events)
  expect(existsSync('shop-in-memory')).toBe(false)
  expect(names()).toEqual(before)
  await db.close()
})

test('each open is a database of its own, also under one name; closing ends it and opening finds nothing of it', async () => {
  const [left, right] = [await open('same', { storage: 'memory' }), await open('same', { storage: 'memory' })]
  await left.store<string>('s').put('k', 'left')
  expect(right.store<string>('s').get('k')).toBeUndefined()
  const { files } = left.environment
  expect((await files.list('same')).length).toBeGreaterThan(0)
  await left.close()
  await left.close()
  expect(await files.stat('same')).toBeUndefined()
  expect(() => left.store('s')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  await right.store<string>('s').put('k', 'right')
  await right.close()
  const again = await open('same', { storage: 'memory' })
  expect(again.storeNames()).toEqual([])
  await again.close()
})

test('the path may be left out, or be any name', async () => {
  for (const db of [await open({ storage: 'memory' }), await open('/', { storage: 'memory' }), await open('.', { storage: 'memory' })]) {
    await db.store<number>('s').put('k', 1)
    expect(db.store<number>('s').get('k')).toBe(1)
    await db.close()
  }
})

test('nothing is flushed within a put, and a loop of awaited puts leaves timers their turns', async () => {
  const db = await open(small)
  const store = db.store<string>('s')
  await store.ready()
  for (let i = 0; i < 60; i++) void store.put(i.toString(), 'v'.repeat(KiB), { durability: 'none' })
  expect(db.stats().commitLog.tailBytes).toBeGreaterThan(48 * KiB)
  expect(db.stats().flush.flushes).toBe(0)
  await db.seal()
  expect(db.stats().flush.flushes).toBeGreaterThan(0)
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  for (const start = performance.now(); performance.now() - start < 50; ) await store.put('k', 'v', { durability: 'sync' })
  clearInterval(timer)
  expect(ticks).toBeGreaterThan(1)
  await db.close()
})

test('what cannot be is told by name', async () => {
  // biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the point
  const anyOpen = open as any
  await expect(anyOpen('x', { storage: 'ram' })).rejects.toThrow(/storage must be 'disk' or 'memory'/)
  await expect(anyOpen('x', { storage: null })).rejects.toThrow(TypeError)
  await expect(anyOpen({ storage: 'disk' })).rejects.toThrow(/path/)
  await expect(anyOpen({})).rejects.toThrow(/path/)
  await expect(anyOpen(null)).rejects.toThrow(/path/)
  await expect(anyOpen('', { storage: 'memory' })).rejects.toThrow(/path/)
  await expect(anyOpen({ storage: 'memory', durabilty: 'sync' })).rejects.toThrow(/durabilty/)
  const db = await open({ storage: 'memory' })
  await expect(open('x', { storage: 'memory', environment: db.environment })).rejects.toThrow(/storage .*environment/)
  expect(() => db.lease()).toThrow(/lease needs .*storage 'disk'/)
  await expect(db.backup('copy')).rejects.toThrow(/backup needs .*storage 'disk'/)
  await db.close()
  await expect(open('x', { storage: 'memory', createIfMissing: false })).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
})

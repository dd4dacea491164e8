/** What the engine's workloads share: opening, defining topic logs, filling them, and counting what is in them. */

import { type Database, type OpenOptions, open } from 'varve'
import { batchRecordCount } from '../../../engine/batch/record-batch.ts'
import type { LocalLog } from '../../../engine/index.ts'
import { expectEqual } from '../../workload.ts'
import type { RecordSource } from '../records.ts'

export async function openWithLogs(
  folder: string,
  count: number,
  options: OpenOptions = {},
): Promise<{ database: Database; logs: LocalLog[] }> {
  const database = await open(folder, options)
  const names = Array.from({ length: count }, (_, i) => `log-${i}`)
  await database.define(names.map(name => ({ name, kind: 'topic' })))
  return { database, logs: names.map(name => database.log(name)) }
}

/** Promises under way, at most `limit`. */
export class Window {
  readonly #limit: number
  readonly #ring: Promise<void>[] = []
  #count = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Resolves when another promise may be added. */
  async room(): Promise<void> {
    if (this.#count >= this.#limit) await this.#ring[this.#count % this.#limit]
  }

  add(promise: Promise<void>): void {
    promise.catch(() => undefined) // whoever awaits it gets the rejection; nobody may be waiting yet
    this.#ring[this.#count++ % this.#limit] = promise
  }

  async all(): Promise<void> {
    await Promise.all(this.#ring)
  }
}

/** Calls `write` `count` times, with at most `limit` of what it returns under way, and waits for all. */
export async function writeWithin(limit: number, count: number, write: (i: number) => Promise<unknown>): Promise<void> {
  const window = new Window(limit)
  for (let i = 0; i < count; i++) {
    await window.room()
    window.add(write(i).then(() => undefined))
  }
  await window.all()
}

/** Appends whole batches to the logs in turn and resolves when they are durable. */
export async function fill(logs: readonly LocalLog[], source: RecordSource, batches: number): Promise<void> {
  await writeWithin(16, batches, i => (logs[i % logs.length] as LocalLog).appendRecords(source.next()).acknowledged)
}

/** Reads everything and counts it by the batches' headers. */
export function countRecords(logs: readonly LocalLog[]): number {
  let count = 0
  for (const log of logs) {
    for (let offset = log.startOffset; offset < log.endOffset; ) {
      const slice = log.read(offset, { bound: 'end' })
      for (const position of slice.positions) count += batchRecordCount(slice.bytes, position)
      if (slice.nextOffset === offset) break
      offset = slice.nextOffset
    }
  }
  return count
}

/** All logs together hold `records` records, durable and readable. */
export function expectRecords(logs: readonly LocalLog[], records: number): void {
  expectEqual(
    'durable records',
    logs.reduce((sum, log) => sum + log.durableOffset, 0),
    records,
  )
  expectEqual('records read', countRecords(logs), records)
}

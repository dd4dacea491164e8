/**
 * Reading while a steady stream of overwrites goes on, in one event loop: after each batch of writes a fixed number of reads, so that every engine
 * does the same mix. The rate counts reads; the latencies of the writes are kept apart.
 */

import { Window } from '../../logs/workloads/database.ts'
import { nextTurn } from '../../measurement.ts'
import { expectEqual } from '../../workload.ts'
import { Sink } from '../data.ts'
import type { OpenStore } from '../engine.ts'
import { share } from '../parameters.ts'
import type { StoreRun } from '../store-run.ts'
import { getsPerTurn } from './read.ts'
import { rangeEntries } from './scan.ts'

/** Records of one write: small, since each holds up the reads behind it. */
const writeRecords = 100
const getsPerWrite = 200
const rangesPerWrite = 2
const timedEvery = 16
const writePurpose = 5
const readPurpose = 6

type Read = 'get' | 'range'

export async function readWhileWriting(run: StoreRun, read: Read): Promise<void> {
  const { data } = run
  const { n, keyBytes, valueBytes, window: limit } = run.parameters
  const random = data.random(writePurpose)
  const puts = share(n, read === 'get' ? 2 : 1, writeRecords * 4)
  const records = Math.min(writeRecords, n)
  const writes = Math.ceil(puts / records)
  const store = await run.open()
  const readSome = read === 'get' ? getter(run, store, limit * records + records) : ranger(run, store)
  await run.measure(
    async () => {
      const window = new Window(limit)
      let reads = 0
      for (let i = 0; i < writes; i++) {
        const write = run.makeBatch(records, 'overwrite', () => random.below(n))
        await window.room()
        const begun = performance.now()
        const written = store.write(write)
        if (written === undefined) run.putEnd(begun)
        else window.add(written.then(() => run.putEnd(begun)))
        await nextTurn()
        reads += await readSome()
      }
      await window.all()
      run.puts = writes * records
      return reads
    },
    (read === 'get' ? 1 : rangeEntries) * (keyBytes + valueBytes),
  )
  await run.expectAll(store)
  await store.close()
}

function getter(run: StoreRun, store: OpenStore, behindMax: number): () => Promise<number> {
  const { data, measurement } = run
  const random = data.random(readPurpose)
  const gets = store.getIsAsync ? getsPerWrite / 10 : getsPerWrite
  const behind = Math.min(behindMax, 8) // more overwrites of one key than this are never in flight with any sensible number of keys
  return async () => {
    for (let i = 0; i < gets; i++) {
      const index = random.below(run.parameters.n)
      const key = data.key(index)
      const timed = i % timedEvery === 0
      const begun = timed ? measurement.begin() : 0
      const value = store.getIsAsync ? await store.get(key) : store.get(key)
      if (timed) measurement.end(begun)
      data.checkRecent(value as Awaited<typeof value>, index, behind)
      if (i % getsPerTurn === getsPerTurn - 1) await nextTurn()
    }
    return gets
  }
}

function ranger(run: StoreRun, store: OpenStore): () => Promise<number> {
  const { data, measurement } = run
  const random = data.random(readPurpose)
  const entries = Math.min(rangeEntries, run.parameters.n)
  return async () => {
    for (let i = 0; i < rangesPerWrite; i++) {
      const from = random.below(run.parameters.n - entries + 1)
      const sink = new Sink()
      const begun = measurement.begin()
      const scanned = store.scanBatches({ gte: data.key(from), limit: entries }, sink)
      if (scanned !== undefined) await scanned
      measurement.end(begun)
      expectEqual('entries of a range', sink.count, entries)
      expectEqual('last key of a range', sink.lastKey, data.key(from + entries - 1))
    }
    return rangesPerWrite
  }
}

/**
 * Goal: a log answers by offset, time and epoch the same across parts, tail and restarts, as a plain list of its records does; bodies and runs that are
 * merged apart do not confuse it; waits end when their bound passes, their signal aborts, or the log ends.
 */
import { describe, expect, test } from 'vitest'
import { decodeRecords } from '../../../../engine/batch/record-batch-codec.ts'
import type { Database } from '../../../../engine/database.ts'
import { SimRandom } from '../../../../engine/env/index.ts'
import { batchBase, batchEnd } from '../../../../engine/log/batch-kinds.ts'
import type { EpochEnd } from '../../../../engine/log/log.ts'
import { comparePartRefs, type PartRef, readParts } from '../../../../engine/log/parts.ts'
import { PART_BODY, PART_RUN } from '../../../../engine/segment/format.ts'
import type { SegmentReader } from '../../../../engine/segment/reader.ts'
import { bytesOf, newEnvironment, openSim } from '../../../probes/support.ts'

interface Entry {
  readonly epoch: number
  readonly timestamp: number
}

function epochEnd(entries: readonly Entry[], epoch: number): EpochEnd | undefined {
  const last = entries.findLastIndex(entry => entry.epoch <= epoch)
  return last < 0 ? undefined : { epoch: (entries[last] as Entry).epoch, endOffset: last + 1 }
}

describe('epochs and times', () => {
  test.each([1, 2, 3, 4, 5])(
    'seed %i: as a list of records answers, through appends, truncations, seals, merges and restarts',
    async seed => {
      const random = new SimRandom(seed)
      const environment = newEnvironment(seed)
      await environment.drive(async () => {
        let db = await openSim(environment, { commitLogFileBytes: 16 * 1024, ownSegmentBytes: 1024 })
        await db.define([{ name: 'o', kind: 'topic', highWatermark: 'owner' }])
        let log = db.log('o')
        const entries: Entry[] = []
        let epoch = 1
        let released = 0
        for (let step = 0; step < 250; step++) {
          const drawn = random.below(100)
          if (drawn < 65) {
            if (random.chance(0.2)) epoch += 1 + random.below(3)
            const records = Array.from({ length: 1 + random.below(4) }, () => ({
              value: 'v'.repeat(random.below(300)),
              timestamp: 1000 + step * 10 - random.below(40),
            }))
            await log.appendRecords(records, { epoch, expectedOffset: entries.length }).durable
            entries.push(...records.map(({ timestamp }) => ({ epoch, timestamp })))
          } else if (drawn < 75) {
            released = released + random.below(entries.length - released + 1)
            if (released > log.highWatermark) log.advanceHighWatermark(released)
            released = log.highWatermark
          } else if (drawn < 85) {
            const offset = log.highWatermark + random.below(entries.length - log.highWatermark + 1)
            await log.truncateSuffix(offset).durable
            entries.length = offset
          } else if (drawn < 93) {
            await db.seal()
          } else if (drawn < 95) {
            await db.consolidate()
          } else {
            await db.close()
            db = await openSim(environment, { commitLogFileBytes: 16 * 1024, ownSegmentBytes: 1024 })
            log = db.log('o')
            expect(log.highWatermark).toBeLessThanOrEqual(released)
            released = log.highWatermark
          }
          expect([log.endOffset, log.epoch]).toEqual([entries.length, entries.at(-1)?.epoch ?? 0])
          for (const asked of [0, 1, epoch - 1, epoch, epoch + 1, random.below(epoch + 1)])
            expect(log.endOffsetForEpoch(asked)).toEqual(epochEnd(entries, asked))
          const time = 900 + random.below(step * 10 + 200)
          const found = log.offsetForTime(time)
          const bound = entries.slice(0, log.highWatermark).findIndex(entry => entry.timestamp >= time)
          // A batch that the high watermark cuts is not looked into.
          if (found === undefined) expect(bound < 0 || bound >= log.highWatermark - 4).toBe(true)
          else expect(found).toBe(bound)
        }
        await db.close()
      })
    },
  )

  test('the newest epoch stays known when the parts that told it are trimmed away', async () => {
    const environment = newEnvironment(20)
    await environment.drive(async () => {
      const open = (): Promise<Database> => openSim(environment, { autoConsolidate: false })
      let db = await open()
      await db.define([{ name: 'o', kind: 'topic', highWatermark: 'owner' }])
      await db.log('o').appendRecords([{ value: 'x' }], { epoch: 5 }).durable
      db.log('o').advanceHighWatermark(1)
      await db.seal()
      await db.close()
      db = await open()
      const log = db.log('o')
      await log.trimPrefix(1).durable
      await db.seal()
      await db.consolidate()
      await log.appendRecords([{ value: 'y' }], { epoch: 6 }).durable
      await log.truncateSuffix(1).durable
      expect(log.epoch).toBe(5)
      expect(() => log.appendRecords([{ value: 'z' }], { epoch: 4 })).toThrow(expect.objectContaining({ code: 'STALE_EPOCH' }))
      await db.close()
      db = await open()
      expect(db.log('o').epoch).toBe(5)
      await db.close()
    })
  })
})

test('a body is read whole, from every offset, when it is merged and its runs are not', async () => {
  const environment = newEnvironment(30)
  await environment.drive(async () => {
    const db = await openSim(environment, { autoConsolidate: false, ownSegmentBytes: 1, commitLogFileBytes: 64 * 1024 })
    await db.define([{ name: 's', kind: 'store', body: true }])
    const log = db.log('s')
    for (let round = 0; round < 20; round++) {
      // Bodies of one size class, runs of two: only the newest record of the key is in them.
      for (let i = 0; i < 9; i++) log.appendRecords([{ kind: 'put', key: bytesOf('k'), value: bytesOf('v'.repeat(600)) }])
      log.appendRecords([{ kind: 'put', key: bytesOf('k'), value: bytesOf('v'.repeat(round % 2 === 0 ? 10 : 2000)) }])
      await db.seal()
      await db.consolidate()
      const seen: number[] = []
      for (let offset = 0; offset < log.endOffset; ) {
        const slice = log.read(offset, { bytesMax: 1 + ((round * 1310) % 5000) })
        for (const position of slice.positions) seen.push(batchBase('store', slice.bytes, position))
        expect(slice.nextOffset).toBeGreaterThan(offset)
        offset = slice.nextOffset
      }
      expect(seen).toEqual(Array.from({ length: log.endOffset }, (_, offset) => offset))
      for (let offset = 0; offset < log.endOffset; offset++) {
        const slice = log.read(offset, { bytesMax: 1 })
        expect([batchBase('store', slice.bytes, 0), batchEnd('store', slice.bytes, 0)]).toEqual([offset, offset + 1])
      }
    }
    await db.close()
  })
})

test('a part is found by offset among runs that cut the range otherwise', () => {
  // A reader without blocks answers with the end of its part: that says which one was asked.
  const reader = { batchIndex: () => ({ findByOffset: () => 0, blockCount: 0 }) } as unknown as SegmentReader
  const partsOf = (type: number, ends: readonly number[]): PartRef[] =>
    ends.map((endOffset, i) => ({
      reader,
      segmentId: endOffset,
      part: 0,
      type,
      level: 0,
      firstOffset: ends[i - 1] ?? 0,
      endOffset,
      bytes: 1,
      recordCount: 1,
      maxTimestamp: 0,
    }))
  const random = new SimRandom(31)
  for (let round = 0; round < 300; round++) {
    const cuts = (): number[] => [...Array.from({ length: 40 }, (_, i) => i + 1).filter(() => random.chance(0.2)), 41]
    const ends = cuts()
    const parts = [...partsOf(PART_RUN, cuts()), ...partsOf(PART_BODY, ends)].sort(comparePartRefs)
    for (let offset = 0; offset < 43; offset++) {
      expect(readParts(parts, 'store', offset, 1)?.nextOffset).toBe(ends.find(end => end > offset))
    }
  }
})

describe('waits', () => {
  const withLog = async (seed: number, program: (db: Database) => Promise<void>): Promise<void> => {
    const environment = newEnvironment(seed)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([
        { name: 'o', kind: 'topic', highWatermark: 'owner' },
        { name: 'a', kind: 'topic' },
      ])
      await program(db)
      await db.close()
    })
  }

  test('each bound resolves its own waits, and those of records that are there at once', async () => {
    await withLog(40, async db => {
      const log = db.log('o')
      const passed: string[] = []
      const wait = (bound: 'end' | 'durable' | 'highWatermark') => log.waitFor(0, { bound }).then(() => passed.push(bound))
      const all = Promise.all([wait('highWatermark'), wait('durable'), wait('end')])
      await Promise.resolve()
      expect(passed).toEqual([])
      const appended = log.appendRecords([{ value: 'x' }])
      await log.waitFor(0, { bound: 'end' })
      await appended.durable
      await log.waitFor(0, { bound: 'durable' })
      expect(passed).toEqual(['end', 'durable'])
      log.advanceHighWatermark(1)
      await all
      expect(passed).toEqual(['end', 'durable', 'highWatermark'])
      let later = false
      const second = log.waitFor(1, { bound: 'end' }).then(() => (later = true))
      await Promise.resolve()
      expect(later).toBe(false)
      log.appendRecords([{ value: 'y' }])
      await second
      await db.flush()
    })
  })

  test('an append resolves a wait for the end without the disk', async () => {
    await withLog(41, async db => {
      const log = db.log('a')
      const wait = log.waitFor(0, { bound: 'end' })
      log.appendRecords([{ value: 'x' }], { durability: 'none' })
      await wait
      expect([log.durableOffset, log.highWatermark]).toEqual([0, 1])
      const released = log.waitFor(1)
      log.appendRecords([{ value: 'y' }], { durability: 'none' })
      await released
    })
  })

  test('a signal ends its wait with its reason, before or during; a wait that is over does not hear it', async () => {
    await withLog(42, async db => {
      const log = db.log('a')
      const controller = new AbortController()
      const waits = [log.waitFor(0, { signal: controller.signal }), log.waitFor(5, { signal: controller.signal })]
      const other = log.waitFor(0)
      await log.appendRecords([{ value: 'x' }]).durable
      await waits[0]
      controller.abort(new Error('enough'))
      await expect(waits[1]).rejects.toThrow('enough')
      await other
      await expect(log.waitFor(0, { signal: controller.signal })).rejects.toThrow('enough')
      await expect(log.waitFor(9, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
    })
  })

  test('close ends waits with CLOSED, drop with NOT_FOUND', async () => {
    await withLog(43, async db => {
      const dropped = expect(db.log('a').waitFor(0)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await db.drop(['a'])
      await dropped
      const closed = expect(db.log('o').waitFor(0)).rejects.toMatchObject({ code: 'CLOSED' })
      const log = db.log('o')
      await db.close()
      await closed
      await expect(log.waitFor(0)).rejects.toMatchObject({ code: 'CLOSED' })
    })
  })
})

test('what a reader is given is its own copy', async () => {
  const environment = newEnvironment(50)
  await environment.drive(async () => {
    const db = await openSim(environment)
    await db.define([{ name: 'a', kind: 'topic' }])
    const log = db.log('a')
    await log.appendRecords([{ value: 'mine' }]).durable
    log.read(0).bytes.fill(0)
    expect(Buffer.from(decodeRecords(log.read(0).bytes, 0)[0]?.value ?? []).toString()).toBe('mine')
    await db.seal()
    log.read(0).bytes.fill(0)
    expect(Buffer.from(decodeRecords(log.read(0).bytes, 0)[0]?.value ?? []).toString()).toBe('mine')
    await db.close()
  })
})

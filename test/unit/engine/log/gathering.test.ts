/**
 * Goal: small appends of commits that share a frame become one batch of each log, and nobody can tell but by counting batches: offsets, order, times, what is read before and
 * after it is durable, and what a restart finds are as if each had its own.
 */
import { describe, expect, test } from 'vitest'
import { decodeRecords } from '../../../../engine/batch/record-batch-codec.ts'
import { TopicBatch } from '../../../../engine/batch/topic-batch.ts'
import { GatheringBatch } from '../../../../engine/commit-log/gathering-batch.ts'
import type { Database } from '../../../../engine/database.ts'
import { SimRandom } from '../../../../engine/env/index.ts'
import type { LocalLog, ReadBound } from '../../../../engine/log/log.ts'
import { newEnvironment, openSim, textOf } from '../../../probes/support.ts'

const largeFrames = { commitLogFileBytes: 512 * 1024, commitLogFileBytesFirst: 512 * 1024, frameBytesMax: 256 * 1024 }

function batchOf(texts: readonly string[], time = 1000): TopicBatch {
  const batch = new TopicBatch()
  for (const text of texts) batch.add(null, text, time)
  return batch
}

interface Found {
  readonly batches: number
  readonly texts: string[]
  readonly times: number[]
}

/** Everything up to the bound; offsets must be dense. */
function readAll(log: LocalLog, bound: ReadBound = 'end'): Found {
  const texts: string[] = []
  const times: number[] = []
  let batches = 0
  let next = log.startOffset
  for (;;) {
    const { bytes, positions, nextOffset } = log.read(next, { bound, fillChecksums: true })
    if (nextOffset === next) return { batches, texts, times }
    batches += positions.length
    for (const position of positions)
      for (const { offset, value, timestamp } of decodeRecords(bytes, position)) {
        if (offset !== log.startOffset + texts.length) throw new Error(`offset ${offset} behind ${texts.length} records`)
        texts.push(textOf(value) as string)
        times.push(timestamp)
      }
    next = nextOffset
  }
}

async function withLogs(seed: number, program: (db: Database, a: LocalLog, b: LocalLog) => Promise<void>): Promise<void> {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const db = await openSim(environment, largeFrames)
    await db.define([
      { name: 'a', kind: 'topic' },
      { name: 'b', kind: 'topic' },
      { name: 's', kind: 'store' },
    ])
    await program(db, db.log('a'), db.log('b'))
    await db.close()
  })
}

describe('one frame', () => {
  test('twenty commits over two logs are one batch each, with the times that they had', async () => {
    await withLogs(1, async (db, a, b) => {
      const frames = db.stats().commitLog.frames
      const answers = Array.from({ length: 20 }, (_, i) =>
        db.commit(commit => {
          commit.appendRecords(a, batchOf([`a${i}`, `A${i}`], 1000 + i))
          commit.appendRecords(b, batchOf([`b${i}`]))
        }),
      )
      expect(answers.map(({ appends }) => appends.map(({ baseOffset, endOffset }) => [baseOffset, endOffset]))).toEqual(
        Array.from({ length: 20 }, (_, i) => [
          [2 * i, 2 * i + 2],
          [i, i + 1],
        ]),
      )
      await Promise.all(answers.map(({ durable }) => durable))
      expect(db.stats().commitLog.frames - frames).toBe(1)
      const texts = Array.from({ length: 20 }, (_, i) => [`a${i}`, `A${i}`]).flat()
      const times = Array.from({ length: 20 }, (_, i) => [1000 + i, 1000 + i]).flat()
      expect(readAll(a, 'highWatermark')).toEqual({ batches: 1, texts, times })
      expect(readAll(b, 'durable').batches).toBe(1)
      expect(a.offsetForTime(1005)).toBe(10)
    })
  })

  test('a batch ends where deltas would need more than a byte', async () => {
    await withLogs(2, async (_db, a) => {
      const appends = Array.from({ length: 130 }, (_, i) => a.appendRecords(batchOf([`${i}`]) as never))
      appends.push(a.appendRecords(batchOf(['older'], 900) as never), a.appendRecords(batchOf(['newer'], 2000) as never))
      await Promise.all(appends.map(({ durable }) => durable))
      const { batches, texts } = readAll(a)
      expect(texts).toEqual([...Array.from({ length: 130 }, (_, i) => `${i}`), 'older', 'newer'])
      // 64 and 64, two and the older one, which begins a batch of its own as the newer one does.
      expect(batches).toBe(5)
    })
  })

  test('who reads to the end before anything is durable sees all, and what comes then goes on behind it', async () => {
    await withLogs(3, async (db, a) => {
      db.commit(commit => commit.appendRecords(a, batchOf(['1'])))
      db.commit(commit => commit.appendRecords(a, batchOf(['2'])))
      expect([a.endOffset, a.durableOffset, a.highWatermark]).toEqual([2, 0, 0])
      expect(readAll(a, 'highWatermark').texts).toEqual([])
      expect(readAll(a)).toMatchObject({ batches: 1, texts: ['1', '2'] })
      const lease = db.lease({ logs: ['a'] })
      lease.release()
      expect(a.lastStableOffset).toBe(0)
      const { durable } = db.commit(commit => commit.appendRecords(a, batchOf(['3'])))
      await durable
      expect(readAll(a, 'highWatermark')).toMatchObject({ batches: 2, texts: ['1', '2', '3'] })
    })
  })

  test('a commit that is refused leaves what gathers as it was', async () => {
    await withLogs(4, async (db, a, b) => {
      db.commit(commit => commit.appendRecords(a, batchOf(['1'])))
      const refused = () =>
        db.commit(commit => {
          commit.appendRecords(a, batchOf(['never']))
          commit.appendRecords(b, batchOf(['never']), { expectedOffset: 7 })
        })
      expect(refused).toThrow(expect.objectContaining({ code: 'OFFSET_MISMATCH' }))
      await db.commit(commit => commit.appendRecords(a, batchOf(['2']))).durable
      expect(readAll(a)).toMatchObject({ batches: 1, texts: ['1', '2'] })
      expect(b.endOffset).toBe(0)
    })
  })
})

describe('before it is placed', () => {
  test('a truncation within it keeps what lies below, and asks the right producers', async () => {
    await withLogs(5, async (db, a) => {
      db.commit(commit => commit.appendRecords(a, batchOf(['1', '2'])))
      db.commit(commit => commit.appendRecords(a, batchOf(['3', '4'])))
      a.truncateSuffix(3)
      db.commit(commit => commit.appendRecords(a, batchOf(['5', '6'])))
      // What lies where the batch is not yet would say that producer 0 is known.
      const producer = { id: 0, epoch: 0, sequence: 5 }
      const { durable } = db.commit(commit => {
        commit.truncateSuffix(a, 5)
        commit.appendRecords(a, [{ value: new TextEncoder().encode('of a producer') }], { producer })
      })
      await durable
      expect(readAll(a, 'durable').texts).toEqual(['1', '2', '3', '5', '6', 'of a producer'])
    })
  })

  test('a state machine that is asked about a batch may read another log to its end', async () => {
    await withLogs(6, async (db, a, b) => {
      const seen: string[][] = []
      const machine = { apply: () => undefined, snapshot: () => new Uint8Array(0), restore: () => undefined }
      b.attach({ ...machine, admit: () => void seen.push(readAll(a).texts) })
      db.commit(commit => commit.appendRecords(a, batchOf(['1'])))
      db.commit(commit => commit.appendRecords(a, batchOf(['2'])))
      await db.commit(commit => commit.appendRecords(b, batchOf(['asked']))).durable
      expect(seen).toEqual([['1', '2']])
      expect(readAll(b, 'durable').texts).toEqual(['asked'])
    })
  })

  test('memory that cannot be had for half of a commit ends the writer as a failed write does', async () => {
    const environment = newEnvironment(7)
    await environment.drive(async () => {
      const db = await openSim(environment, largeFrames)
      await db.define([
        { name: 'a', kind: 'topic' },
        { name: 'b', kind: 'topic' },
      ])
      const [a, b] = [db.log('a'), db.log('b')]
      const first = db.commit(commit => commit.appendRecords(a, batchOf(['1'])))
      const { append } = TopicBatch.prototype
      let appends = 0
      TopicBatch.prototype.append = function (other) {
        if (++appends === 2) throw new RangeError('Array buffer allocation failed')
        append.call(this, other)
      }
      const half = (): unknown =>
        db.commit(commit => {
          commit.appendRecords(b, batchOf(['half']))
          commit.appendRecords(a, batchOf(['half']))
        })
      try {
        expect(half).toThrow('allocation failed')
      } finally {
        TopicBatch.prototype.append = append
      }
      expect(half).toThrow(expect.objectContaining({ code: 'POISONED' }))
      await expect(first.durable).rejects.toMatchObject({ code: 'POISONED' })
      expect([a.endOffset, b.endOffset]).toEqual([0, 0])
      await db.close()
    })
  })
})

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'seed %i: random commits, reads, flushes, closes and power losses are as lists of records',
  async seed => {
    const random = new SimRandom(seed)
    let environment = newEnvironment(seed)
    const names = ['a', 'b', 'c']
    const written = new Map<string, string[]>(names.map(name => [name, []]))
    const durable = new Map<string, number>(names.map(name => [name, 0]))
    let gathered = 0
    for (let life = 0; life < 6; life++) {
      await environment.drive(async () => {
        const db = await openSim(environment, random.chance(0.5) ? {} : largeFrames)
        await db.define(names.map(name => ({ name, kind: 'topic' as const })))
        for (const name of names) {
          const texts = written.get(name) as string[]
          const found = readAll(db.log(name)).texts
          expect(found.length).toBeGreaterThanOrEqual(durable.get(name) as number)
          expect(found).toEqual(texts.slice(0, found.length))
          texts.length = found.length
        }
        let time = 1000
        for (let step = 0; step < 60; step++) {
          time += random.below(3) === 0 ? random.below(100) - 20 : 0
          const parts = names
            .filter(() => random.chance(0.6))
            .map(name => [name, Array.from({ length: 1 + random.below(4) }, (_, i) => `${life}-${step}-${i}`)] as const)
          if (parts.length === 0) continue
          const large = random.chance(0.1)
          const word = random.chance(0.9) ? 'sync' : random.chance(0.5) ? 'buffered' : 'none'
          const committed = db.commit(
            commit => {
              for (const [name, texts] of parts) {
                const padded = large ? texts.map(text => text.padEnd(1500, '.')) : texts
                if (random.chance(0.8)) commit.appendRecords(db.log(name), batchOf(padded, time))
                else
                  commit.appendRecords(
                    db.log(name),
                    padded.map(value => ({ value, timestamp: time })),
                  )
                written.get(name)?.push(...padded)
              }
            },
            { durability: word },
          )
          if (random.chance(0.1)) expect(readAll(db.log('a')).texts).toEqual(written.get('a'))
          if (random.chance(0.05)) await db.seal()
          if (word !== 'sync' || !random.chance(0.3)) continue
          const ends = names.map(name => [name, db.log(name).endOffset] as const)
          await committed.durable
          for (const [name, end] of ends)
            if (db.log(name).durableOffset >= end) durable.set(name, Math.max(durable.get(name) as number, end))
        }
        for (const name of names) {
          const { batches, texts } = readAll(db.log(name))
          expect(texts).toEqual(written.get(name))
          gathered += texts.length - batches
        }
        if (life % 3 === 0) {
          await db.close()
          for (const name of names) durable.set(name, (written.get(name) as string[]).length)
        }
      })
      if (life % 3 === 1) environment.disk.crash()
      if (life % 3 === 2) environment.disk.processKill()
      environment = newEnvironment(seed * 100 + life, environment.disk)
    }
    expect(gathered).toBeGreaterThan(50)
  },
)

test('a batch that was placed keeps no records, though its log still names it, and takes no more', () => {
  const gathering = new GatheringBatch(batchOf(['a']), 1, 0, 0, 0)
  expect([gathering.isPlaced, gathering.takes(batchOf(['b']), 0), gathering.records.count]).toEqual([false, true, 1])
  gathering.placed()
  expect([gathering.isPlaced, gathering.takes(batchOf(['b']), 0)]).toEqual([true, false])
  expect(() => gathering.records).toThrow('has its records in the arena')
})

/**
 * Goal: a commit over several logs is all or nothing in memory as on disk: when anything in it is refused, no log has moved, the next commit finds the
 * place as it was, and a restart finds nothing of it. Within a commit later calls see what earlier ones did.
 */
import { describe, expect, test } from 'vitest'
import { validateRecordBatch } from '../../../../engine/batch/record-batch.ts'
import { decodeRecords, encodeRecordBatch } from '../../../../engine/batch/record-batch-codec.ts'
import { TopicBatch } from '../../../../engine/batch/topic-batch.ts'
import type { Database } from '../../../../engine/database.ts'
import { batchEnd } from '../../../../engine/log/batch-kinds.ts'
import type { Commit, LocalLog, StateMachine } from '../../../../engine/log/log.ts'
import { bytesOf, newEnvironment, openSim, textOf } from '../../../probes/support.ts'
import { momentOf } from '../lease/moment.ts'

interface Logs {
  readonly a: LocalLog
  readonly b: LocalLog
  readonly s: LocalLog
  readonly o: LocalLog
}

async function withLogs(
  seed: number,
  program: (db: Database, logs: Logs, reopen: () => Promise<Database>) => Promise<void>,
): Promise<void> {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    let db = await openSim(environment)
    await db.define([
      { name: 'a', kind: 'topic' },
      { name: 'b', kind: 'topic' },
      { name: 's', kind: 'store', body: true },
      { name: 'o', kind: 'topic', highWatermark: 'owner' },
    ])
    const logs = { a: db.log('a'), b: db.log('b'), s: db.log('s'), o: db.log('o') }
    await program(db, logs, async () => {
      await db.close()
      db = await openSim(environment)
      return db
    })
    await db.close()
  })
}

function stateOf(db: Database): unknown {
  const logs = db.list().map(({ name }) => {
    const log = db.log(name)
    const all = {
      startOffset: log.startOffset,
      endOffset: log.endOffset,
      read: (offset: number, options: object) => log.read(offset, { ...options, bound: 'end' }),
    }
    return [name, log.endOffset, log.epoch, textOf(log.metadata.get('m')), momentOf(all)]
  })
  return [db.stats().sequence, db.stats().commitLog.endLsn, logs]
}

const code = (wanted: string) => expect.objectContaining({ code: wanted })

/** The last thing in a commit that has appended to all logs, truncated and set metadata before. */
const refusals: readonly [string, unknown, (commit: Commit, logs: Logs) => void][] = [
  [
    'an error of the callback',
    new Error('mine'),
    () => {
      throw new Error('mine')
    },
  ],
  ['another offset', code('OFFSET_MISMATCH'), (commit, { a }) => commit.appendRecords(a, [{ value: 'x' }], { expectedOffset: 1 })],
  ['an older epoch', code('STALE_EPOCH'), (commit, { o }) => commit.appendRecords(o, [{ value: 'x' }], { epoch: 1 })],
  [
    'a fenced producer',
    code('PRODUCER_FENCED'),
    (commit, { b }) => commit.appendRecords(b, [{ value: 'x' }], { producer: { id: 9, epoch: 0, sequence: 1 } }),
  ],
  [
    'a gap of a producer',
    code('OUT_OF_ORDER_SEQUENCE'),
    (commit, { b }) => commit.appendRecords(b, [{ value: 'x' }], { producer: { id: 9, epoch: 1, sequence: 8 } }),
  ],
  ['damaged bytes', code('CORRUPT'), (commit, { a }) => commit.appendBatches(a, encodeRecordBatch([{ value: 'x' }]).fill(3, 30))],
  ['a truncation below the high watermark', expect.any(RangeError), (commit, { o }) => commit.truncateSuffix(o, 0)],
  ['a truncation after an append', expect.any(TypeError), (commit, { o }) => commit.truncateSuffix(o, 2)],
  ['metadata that is too large', code('TOO_LARGE'), (commit, { a }) => commit.setMetadata(a, 'm', new Uint8Array(70_000))],
  ['a record without a key', expect.any(TypeError), (commit, { s }) => commit.appendRecords(s, [{ kind: 'put' } as never])],
  [
    'an admission that is refused',
    code('REFUSED'),
    (commit, { s }) => commit.appendRecords(s, [{ kind: 'put', key: bytesOf('no'), value: bytesOf('x'.repeat(6000)) }]),
  ],
]

describe('atomicity', () => {
  test.each(refusals)('%s takes the whole commit back', async (_name, error, last) => {
    await withLogs(1, async (db, logs, reopen) => {
      const machine: StateMachine = {
        admit: batch => {
          if (Buffer.from(batch).includes('no')) throw new Error('no')
        },
        apply: () => undefined,
        snapshot: () => new Uint8Array(0),
        restore: () => undefined,
      }
      logs.s.attach(machine)
      logs.b.appendRecords([{ value: 'b0' }], { producer: { id: 9, epoch: 1, sequence: 0 } })
      await logs.o.appendRecords([{ value: 'o0' }, { value: 'o1' }], { epoch: 2 }).durable
      await logs.o.appendRecords([{ value: 'o2' }], { epoch: 2 }).durable
      logs.o.advanceHighWatermark(2)
      // Half of a frame waits while the commit is refused.
      const waiting = logs.a.appendRecords([{ value: 'a0' }])
      const before = stateOf(db)
      expect(() =>
        db.commit(commit => {
          commit.truncateSuffix(logs.o, 2)
          commit.appendRecords(logs.a, [{ value: 'never' }])
          commit.appendRecords(logs.b, [{ value: 'never' }])
          commit.appendRecords(logs.s, [{ kind: 'put', key: bytesOf('k'), value: bytesOf('never') }])
          commit.appendRecords(logs.o, [{ value: 'never' }], { epoch: 3 })
          commit.setMetadata(logs.a, 'm', bytesOf('never'))
          last(commit, logs)
        }),
      ).toThrow(error as Error)
      expect(stateOf(db)).toEqual(before)
      await waiting.durable
      const after = db.commit(commit => {
        commit.appendRecords(logs.a, [{ value: 'next' }])
        commit.appendRecords(logs.s, [{ kind: 'put', key: bytesOf('k'), value: bytesOf('next') }])
      })
      expect(after.appends.map(({ baseOffset, endOffset }) => [baseOffset, endOffset])).toEqual([
        [1, 2],
        [0, 1],
      ])
      await after.durable
      const again = await reopen()
      const all = ['a', 'b', 's', 'o'].map(name => Buffer.from(again.log(name).read(0, { bound: 'end' }).bytes).toString('latin1')).join()
      expect(all).not.toContain('never')
      expect(all.match(/next/g)).toHaveLength(2)
      expect(['a', 'b', 's', 'o'].map(name => again.log(name).endOffset)).toEqual([2, 1, 1, 3])
    })
  })

  test('a commit is dead after its callback', async () => {
    await withLogs(2, async (db, { a }) => {
      let kept: Commit | undefined
      db.commit(commit => {
        kept = commit
      })
      expect(() => kept?.appendRecords(a, [{ value: 'x' }])).toThrow(code('CLOSED'))
      expect(a.endOffset).toBe(0)
    })
  })
})

describe('within a commit', () => {
  test('offsets, expected offsets and producers follow from the calls before', async () => {
    await withLogs(3, async (db, { a, b }) => {
      const producer = { id: 5, epoch: 0 }
      const committed = db.commit(commit => {
        commit.appendRecords(a, [{ value: '0' }, { value: '1' }], { expectedOffset: 0, producer: { ...producer, sequence: 0 } })
        commit.appendRecords(b, [{ value: '0' }])
        commit.appendRecords(a, [{ value: '2' }], { expectedOffset: 2, producer: { ...producer, sequence: 2 }, epoch: 4 })
      })
      expect(committed.appends.map(({ log, baseOffset, endOffset, duplicate }) => [log.name, baseOffset, endOffset, duplicate])).toEqual([
        ['a', 0, 2, false],
        ['b', 0, 1, false],
        ['a', 2, 3, false],
      ])
      expect(a.epoch).toBe(4)
      // A resend beside something new: the old offsets for the one, new ones for the other.
      const resent = db.commit(commit => {
        commit.appendRecords(a, [{ value: '2' }], { producer: { ...producer, sequence: 2 } })
        commit.appendRecords(b, [{ value: '1' }])
      })
      expect(resent.appends.map(({ baseOffset, duplicate }) => [baseOffset, duplicate])).toEqual([
        [2, true],
        [1, false],
      ])
      await resent.durable
      // Only a resend: nothing is written, and it is durable at once.
      const { sequence } = db.stats()
      const nothing = db.commit(commit => commit.appendRecords(a, [{ value: '2' }], { producer: { ...producer, sequence: 2 } }))
      await nothing.durable
      expect([nothing.appends[0]?.duplicate, db.stats().sequence]).toEqual([true, sequence])
      expect(() =>
        db.commit(commit => {
          commit.appendRecords(a, [{ value: '3' }], { producer: { ...producer, sequence: 3 } })
          commit.appendRecords(a, [{ value: '3' }], { producer: { ...producer, sequence: 3 } })
        }),
      ).toThrow(code('OUT_OF_ORDER_SEQUENCE'))
      expect(a.endOffset).toBe(3)
    })
  })

  test('a truncated suffix is replaced, with an older epoch than it had', async () => {
    await withLogs(4, async (db, { o }, reopen) => {
      await o.appendRecords([{ value: 'kept' }, { value: 'cut' }], { epoch: 1 }).durable
      await o.appendRecords([{ value: 'gone' }], { epoch: 7 }).durable
      const committed = db.commit(commit => {
        commit.truncateSuffix(o, 1)
        commit.appendRecords(o, [{ value: 'new' }], { epoch: 3, expectedOffset: 1 })
      })
      await committed.durable
      expect([o.endOffset, o.epoch, o.endOffsetForEpoch(2), o.endOffsetForEpoch(7)]).toEqual([
        2,
        3,
        { epoch: 1, endOffset: 1 },
        { epoch: 3, endOffset: 2 },
      ])
      const again = (await reopen()).log('o')
      expect([again.endOffset, again.epoch, again.endOffsetForEpoch(2)]).toEqual([2, 3, { epoch: 1, endOffset: 1 }])
      expect(Buffer.from(again.read(0, { bound: 'end' }).bytes).toString('latin1')).not.toMatch(/cut|gone/)
    })
  })

  test("a producer's batch that the same commit truncates is no resend when it comes again", async () => {
    await withLogs(5, async (db, { o }) => {
      const producer = { id: 3, epoch: 0 }
      await o.appendRecords([{ value: 'kept' }], { producer: { ...producer, sequence: 0 } }).durable
      await o.appendRecords([{ value: 'first try' }], { producer: { ...producer, sequence: 1 } }).durable
      const committed = db.commit(commit => {
        commit.truncateSuffix(o, 1)
        commit.appendRecords(o, [{ value: 'second try' }], { producer: { ...producer, sequence: 1 } })
      })
      expect(committed.appends[0]).toMatchObject({ baseOffset: 1, endOffset: 2, duplicate: false })
      expect(o.endOffset).toBe(2)
    })
  })

  test('of two trims in one commit the larger counts, after a restart too', async () => {
    await withLogs(6, async (db, { a }, reopen) => {
      await a.appendRecords([{ value: '0' }, { value: '1' }, { value: '2' }, { value: '3' }]).durable
      await db.commit(commit => {
        commit.trimPrefix(a, 3)
        commit.trimPrefix(a, 1)
      }).durable
      expect(a.startOffset).toBe(3)
      expect((await reopen()).log('a').startOffset).toBe(3)
    })
  })

  test('several ready batches answer as one append, in a commit and alone', async () => {
    await withLogs(7, async (db, { a, b }) => {
      const ready = Buffer.concat([encodeRecordBatch([{ value: '0' }, { value: '1' }]), encodeRecordBatch([{ value: '2' }])])
      const alone = a.appendBatches(ready)
      expect([alone.baseOffset, alone.endOffset, a.endOffset]).toEqual([0, 3, 3])
      const committed = db.commit(commit => {
        commit.appendBatches(b, ready)
        commit.appendRecords(a, [{ value: '3' }])
      })
      expect(committed.appends.map(({ log, baseOffset, endOffset }) => [log.name, baseOffset, endOffset])).toEqual([
        ['b', 0, 3],
        ['a', 3, 4],
      ])
      const slice = b.read(0, { bound: 'end' })
      expect(slice.positions.map(position => batchEnd('topic', slice.bytes, position))).toEqual([2, 3])
    })
  })
})

test('records that are encoded already: as given, with producer and compression, and again after a commit was refused', () =>
  withLogs(12, async (db, { a, b, s }) => {
    const batch = new TopicBatch()
    batch.add('k', 'v', 5)
    batch.add(null, bytesOf('w'), 6, [{ key: 'h', value: bytesOf('x') }])
    const refused = (): unknown =>
      db.commit(commit => {
        commit.appendRecords(a, batch)
        commit.appendRecords(b, [{ value: 'x' }], { expectedOffset: 9 })
      })
    expect(refused).toThrow(code('OFFSET_MISMATCH'))
    const producer = { id: 3, epoch: 0, sequence: 0 }
    const { appends } = db.commit(commit => {
      commit.appendRecords(a, batch, { producer })
      commit.appendRecords(b, batch, { compression: 'gzip' })
      commit.appendRecords(b, batch)
    })
    expect(appends.map(({ log, baseOffset, endOffset, duplicate }) => [log.name, baseOffset, endOffset, duplicate])).toEqual([
      ['a', 0, 2, false],
      ['b', 0, 2, false],
      ['b', 2, 4, false],
    ])
    expect(db.commit(commit => commit.appendRecords(a, batch, { producer })).appends[0]).toMatchObject({ baseOffset: 0, duplicate: true })
    const read = (log: LocalLog) => {
      const { bytes, positions } = log.read(0, { bound: 'end', fillChecksums: true })
      for (const position of positions) validateRecordBatch(bytes, position, bytes.length, true)
      return positions
        .flatMap(position => decodeRecords(bytes, position))
        .map(({ offset, timestamp, key, value, headers }) => [offset, timestamp, textOf(key), textOf(value), headers.length])
    }
    expect(read(a)).toEqual([
      [0, 5, 'k', 'v', 0],
      [1, 6, undefined, 'w', 1],
    ])
    expect(read(b).map(([offset]) => offset)).toEqual([0, 1, 2, 3])
    expect(() => db.commit(commit => commit.appendRecords(s, batch))).toThrow(TypeError)
    expect(() => db.commit(commit => commit.appendRecords(a, new TopicBatch()))).toThrow(TypeError)
  }))

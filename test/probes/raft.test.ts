/**
 * Probe: what Raft needs of a log. A follower appends at an expected offset with a term, its unconfirmed suffix is replaced by another leader's,
 * and the machine dies anywhere in between: the old suffix is never seen together with, or instead of, what was acknowledged after it. Term and
 * vote are small durable metadata and outlive the files they were written in.
 */
import { describe, expect, test } from 'vitest'
import { batchEpoch } from '../../engine/batch/record-batch.ts'
import { decodeRecords } from '../../engine/batch/record-batch-codec.ts'
import type { Database } from '../../engine/database.ts'
import { bytesOf, newEnvironment, openSim, runUntilCrash, textOf } from './support.ts'

interface Entry {
  readonly offset: number
  readonly term: number
  readonly value: string
}

function entriesOf(db: Database, name: string): Entry[] {
  const log = db.log(name)
  const entries: Entry[] = []
  for (let offset = log.startOffset; offset < log.endOffset; ) {
    const slice = log.read(offset, { bound: 'end' })
    for (const position of slice.positions) {
      const term = batchEpoch(slice.bytes, position)
      for (const record of decodeRecords(slice.bytes, position))
        entries.push({ offset: record.offset, term, value: textOf(record.value) ?? '' })
    }
    expect(slice.nextOffset).toBeGreaterThan(offset)
    offset = slice.nextOffset
  }
  return entries
}

describe('raft on a log', () => {
  test('an append at another offset or with an older term is refused and changes nothing', async () => {
    const environment = newEnvironment(1)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 'raft', kind: 'topic', highWatermark: 'owner' }])
      const log = db.log('raft')
      log.appendRecords([{ value: 'a' }, { value: 'b' }], { epoch: 3, expectedOffset: 0 })
      expect(() => log.appendRecords([{ value: 'x' }], { epoch: 3, expectedOffset: 1 })).toThrow(
        expect.objectContaining({ code: 'OFFSET_MISMATCH' }),
      )
      expect(() => log.appendRecords([{ value: 'x' }], { epoch: 2, expectedOffset: 2 })).toThrow(
        expect.objectContaining({ code: 'STALE_EPOCH' }),
      )
      expect(entriesOf(db, 'raft').map(entry => entry.value)).toEqual(['a', 'b'])
      expect(log.endOffsetForEpoch(2)).toBeUndefined()
      expect(log.endOffsetForEpoch(3)).toEqual({ epoch: 3, endOffset: 2 })
      await db.close()
    })
  })

  test('a truncated suffix never comes back, wherever the machine dies', async () => {
    let crashes = 0
    for (let point = 0; ; point++) {
      const environment = newEnvironment(1000 + point)
      let acknowledged = 0
      const { crashed } = await runUntilCrash(environment, point, async () => {
        const db = await openSim(environment)
        await db.define([{ name: 'raft', kind: 'topic', highWatermark: 'owner' }])
        const log = db.log('raft')
        await log.appendRecords([{ value: 'committed' }], { epoch: 1, expectedOffset: 0 }).durable
        log.advanceHighWatermark(1)
        acknowledged = 1
        await log.appendRecords([{ value: 'old-1' }, { value: 'old-2' }, { value: 'old-3' }], { epoch: 1, expectedOffset: 1 }).durable
        acknowledged = 2
        await db.commit(commit => {
          commit.truncateSuffix(log, 2)
          commit.appendRecords(log, [{ value: 'new-2' }], { epoch: 2, expectedOffset: 2 })
          commit.setMetadata(log, 'vote', bytesOf('term 2'))
        }).durable
        acknowledged = 3
        // Enough more to fill files, so that flush, carry and recycling happen with the suffix unconfirmed.
        for (let i = 0; i < 12; i++) await log.appendRecords([{ value: `more-${i}`.padEnd(3000, '.') }], { epoch: 2 }).durable
        await db.seal()
        await db.close()
      })
      const again = newEnvironment(5000 + point, environment.disk)
      await again.drive(async () => {
        const db = await openSim(again)
        if (db.get('raft') !== undefined) {
          const entries = entriesOf(db, 'raft')
          const values = entries.map(entry => entry.value.split('.')[0])
          if (acknowledged >= 3) {
            expect(values.slice(0, 3)).toEqual(['committed', 'old-1', 'new-2'])
            expect(textOf(db.log('raft').metadata.get('vote'))).toBe('term 2')
          }
          if (values.includes('new-2')) {
            expect(values).not.toContain('old-2')
            expect(values).not.toContain('old-3')
            expect(entries.find(entry => entry.value === 'new-2')?.term).toBe(2)
          }
          if (acknowledged === 2 && !values.includes('new-2')) expect(values).toEqual(['committed', 'old-1', 'old-2', 'old-3'])
          expect(entries.map(entry => entry.offset)).toEqual(entries.map((_, index) => index))
        } else {
          expect(acknowledged).toBe(0)
        }
        await db.close()
      })
      if (!crashed) break
      crashes++
    }
    expect(crashes).toBeGreaterThan(50)
  })

  test('term and vote survive the recycling of the file they were written in', async () => {
    const environment = newEnvironment(7)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([
        { name: 'raft', kind: 'topic', highWatermark: 'owner' },
        { name: 'other', kind: 'topic' },
      ])
      await db.log('raft').metadata.set('vote', bytesOf('term 9, voted for b')).durable
      for (let i = 0; i < 60; i++) await db.log('other').appendRecords([{ value: 'x'.repeat(3000) }]).durable
      await db.seal()
      expect(db.stats().flush.flushes).toBeGreaterThan(1)
    })
    environment.disk.crash()
    const again = newEnvironment(8, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      expect(textOf(db.log('raft').metadata.get('vote'))).toBe('term 9, voted for b')
      await db.close()
    })
  })

  test('an unconfirmed suffix outlives the files it was written in, and can still be truncated after a crash', async () => {
    const environment = newEnvironment(9)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([
        { name: 'raft', kind: 'topic', highWatermark: 'owner' },
        { name: 'other', kind: 'topic' },
      ])
      const log = db.log('raft')
      await log.appendRecords([{ value: 'confirmed' }], { epoch: 1 }).durable
      log.advanceHighWatermark(1)
      await log.appendRecords([{ value: 'one' }, { value: 'two' }], { epoch: 1 }).durable
      for (let i = 0; i < 60; i++) await db.log('other').appendRecords([{ value: 'x'.repeat(3000) }]).durable
      await db.seal()
      expect(db.stats().flush.carriedBatches).toBeGreaterThan(0)
      expect(entriesOf(db, 'raft').map(entry => entry.value)).toEqual(['confirmed', 'one', 'two'])
    })
    environment.disk.crash()
    const again = newEnvironment(10, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      const log = db.log('raft')
      expect(entriesOf(db, 'raft').map(entry => entry.value)).toEqual(['confirmed', 'one', 'two'])
      expect(log.highWatermark).toBe(1)
      await log.truncateSuffix(2).durable
      await log.appendRecords([{ value: 'three' }], { epoch: 2, expectedOffset: 2 }).durable
      expect(entriesOf(db, 'raft').map(entry => [entry.value, entry.term])).toEqual([
        ['confirmed', 1],
        ['one', 1],
        ['three', 2],
      ])
      expect(log.endOffsetForEpoch(1)).toEqual({ epoch: 1, endOffset: 2 })
      await db.close()
    })
  })
})

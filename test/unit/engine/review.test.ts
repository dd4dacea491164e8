/** Bugs that a review found by reading, each with its story; every one lost acknowledged data, refused to open, or lied about durability. */
import { describe, expect, test } from 'vitest'
import { openDatabase } from '../../../engine/database.ts'
import type { StateMachine } from '../../../engine/log/log.ts'
import { bytesOf, newEnvironment, openSim } from '../../probes/support.ts'

const MiB = 1 << 20

describe('the files of the commit log', () => {
  test('two large appends in one turn get files in the order of the log', async () => {
    // The first take waited to retire a prepared file that was too small; the second overtook it and got the lower number.
    const environment = newEnvironment(71)
    await environment.drive(async () => {
      const db = await openDatabase('/data/db', { environment })
      await db.define([{ name: 'a', kind: 'topic' }])
      await db.log('a').appendRecords([{ value: 'small' }]).durable
      const two = db.log('a').appendRecords([{ value: new Uint8Array(2 * MiB) }])
      const three = db.log('a').appendRecords([{ value: new Uint8Array(3 * MiB) }])
      await Promise.all([two.durable, three.durable])
    })
    environment.disk.crash()
    const again = newEnvironment(72, environment.disk)
    await again.drive(async () => {
      const db = await openDatabase('/data/db', { environment: again })
      expect(db.log('a').endOffset).toBe(3)
      await db.close()
    })
  })

  test('an arena that was sealed empty gives no flush point', async () => {
    // A refused commit had opened a larger arena; the next commit, larger still, sealed it empty, and the flush took its checksum, which was stale.
    const environment = newEnvironment(73)
    const refuseAll: StateMachine = {
      admit: () => {
        throw new Error('no')
      },
      apply: () => undefined,
      snapshot: () => new Uint8Array(0),
      restore: () => undefined,
    }
    await environment.drive(async () => {
      const db = await openSim(environment, { commitLogFileBytesFirst: 4096, commitLogFileBytes: 64 * 1024, frameBytesMax: 64 * 1024 })
      await db.define([
        { name: 'picky', kind: 'topic' },
        { name: 'a', kind: 'topic' },
      ])
      db.log('picky').attach(refuseAll)
      const before = db.log('a').appendRecords([{ value: 'before' }])
      expect(() => db.log('picky').appendRecords([{ value: new Uint8Array(6000) }])).toThrow(expect.objectContaining({ code: 'REFUSED' }))
      const after = db.log('a').appendRecords([{ value: new Uint8Array(40_000) }])
      await Promise.all([before.durable, after.durable])
      await db.seal()
      await db.log('a').appendRecords([{ value: 'last' }]).durable
    })
    environment.disk.crash()
    const again = newEnvironment(74, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      expect(db.log('a').endOffset).toBe(3)
      await db.close()
    })
  })
})

describe('a resend', () => {
  test('is durable when the batch that it repeats is, not before', async () => {
    const environment = newEnvironment(75)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 'a', kind: 'topic' }])
      const log = db.log('a')
      const producer = { id: 1, epoch: 0, sequence: 0 }
      log.appendRecords([{ value: 'x' }], { producer, durability: 'none' })
      const resent = log.appendRecords([{ value: 'x' }], { producer })
      expect(resent.duplicate).toBe(true)
      await resent.durable
      expect(log.durableOffset).toBe(1)
    })
    environment.disk.crash()
    const again = newEnvironment(76, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      expect(db.log('a').endOffset).toBe(1)
      await db.close()
    })
  })
})

/** Remembers the offsets it was given. */
class Listener implements StateMachine {
  readonly seen: number[] = []
  restoredAt = -1
  apply(_bytes: Uint8Array, _start: number, _end: number, baseOffset: number): void {
    this.seen.push(baseOffset)
  }
  snapshot(): Uint8Array {
    return bytesOf('state')
  }
  restore(_snapshot: Uint8Array | undefined, appliedOffset: number): void {
    this.restoredAt = appliedOffset
  }
}

describe('a state machine', () => {
  test('begins anew after a reset, live and after a restart', async () => {
    const environment = newEnvironment(77)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 'a', kind: 'topic' }])
      const log = db.log('a')
      const live = new Listener()
      log.attach(live)
      for (let i = 0; i < 20; i++) await log.appendRecords([{ value: `${i}` }]).durable
      await db.seal()
      await log.resetTo(3).durable
      expect(live.restoredAt).toBe(3)
      await log.appendRecords([{ value: 'three' }]).durable
      await db.close()
      const reopened = await openSim(environment)
      const again = new Listener()
      reopened.log('a').attach(again)
      expect([again.restoredAt, again.seen]).toEqual([3, [3]])
      await reopened.close()
    })
  })

  test('of a store log still sees what was appended when it is attached late', async () => {
    const environment = newEnvironment(78)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 's', kind: 'store' }])
      db.log('s').attach(new Listener())
      await db.log('s').appendRecords([{ kind: 'put', key: bytesOf('a'), value: bytesOf('1') }]).durable
      await db.seal()
      await db.log('s').appendRecords([{ kind: 'put', key: bytesOf('b'), value: bytesOf('2') }]).durable
    })
    environment.disk.processKill()
    const again = newEnvironment(79, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      await db.seal()
      const late = new Listener()
      db.log('s').attach(late)
      expect(late.seen).toEqual([1])
      await db.close()
    })
  })
})

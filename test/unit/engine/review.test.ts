/** Bugs that a review found by reading, each with its story; every one lost acknowledged data, refused to open, or lied about durability. */
import { describe, expect, test } from 'vitest'
import { openDatabase } from '../../../engine/database.ts'
import type { SimEnvironment } from '../../../engine/env/index.ts'
import { SimStopped } from '../../../engine/env/index.ts'
import type { StateMachine } from '../../../engine/log/log.ts'
import { bytesOf, newEnvironment, openSim } from '../../probes/support.ts'
import { internals } from '../../support/internals.ts'

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

function pause(environment: SimEnvironment): Promise<void> {
  return new Promise(resolve => void environment.scheduler.after(0.01, resolve))
}

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

describe('a carried batch', () => {
  test('stays durable: the durable offset does not fall to where its new place is not synced yet', async () => {
    // A place's LSN decided. The new place of a batch lies at the head, so a batch that was durable seemed not to be, and with it all behind it.
    const environment = newEnvironment(84)
    await environment.drive(async () => {
      const db = await openSim(environment)
      // After a reset its batches wait for the machine that will install the snapshot.
      await db.define([{ name: 's', kind: 'store' }])
      const log = db.log('s')
      await log.resetTo(5).durable
      for (let i = 0; i < 3; i++) await log.appendRecords([{ kind: 'put', key: bytesOf(`${i}`), value: bytesOf('') }]).durable
      const sealed = db.seal()
      for (let turn = 0; turn < 1000 && db.stats().flush.carriedBatches === 0; turn++) await pause(environment)
      expect(db.stats().flush.carriedBatches).toBe(3)
      expect(log.durableOffset).toBe(8)
      await sealed
      expect(log.durableOffset).toBe(8)
      await db.close()
    })
  })

  test('of a log whose machine came later is not taken for flushed with the older arenas', async () => {
    // Tails without an owner were cut by binary search over LSNs; carried batches are not in that order, so some left the tail unwritten.
    const environment = newEnvironment(85)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([
        { name: 's', kind: 'store' },
        { name: 'a', kind: 'topic' },
      ])
      const log = db.log('s')
      await log.resetTo(0).durable
      // The first arena (8 KiB) is mostly another log's, so it is flushed as soon as the second (32 KiB) begins; that one is nearly full by then, so
      // what is carried goes into the third.
      for (let i = 0; i < 4; i++) log.appendRecords([{ kind: 'put', key: bytesOf(`first${i}`), value: new Uint8Array(500) }])
      for (let i = 0; i < 4; i++) db.log('a').appendRecords([{ value: new Uint8Array(1000) }])
      for (let i = 0; db.stats().commitLog.unflushedBytes < 38 * 1024; i++)
        log.appendRecords([{ kind: 'put', key: bytesOf(`second${i}`), value: new Uint8Array(900) }])
      const { endOffset } = log
      for (let turn = 0; turn < 1000 && db.stats().flush.carriedBatches === 0; turn++) await pause(environment)
      const late = new Listener()
      log.attach(late)
      for (let turn = 0; turn < 1000 && db.stats().flush.flushes < 2; turn++) await pause(environment)
      expect(db.stats().flush).toMatchObject({ flushes: 2 })
      await db.flush()
      expect(late.seen.length).toBe(endOffset)
      for (let i = 0; i < 3; i++) await db.seal()
      expect([log.endOffset, log.flushedEnd]).toEqual([endOffset, endOffset])
      expect(internals(log).parts.reduce((sum, part) => sum + part.recordCount, 0)).toBe(endOffset)
      await db.close()
    })
  })
})

describe('a catalog view that was being made when the process died', () => {
  test('is there again before the first segment', async () => {
    // It was removed and left to the first flush, which writes its segments first: a kill in between left segments without a view, which is damage.
    const environment = newEnvironment(87)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 'a', kind: 'topic' }])
      await db.log('a').appendRecords([{ value: 'x' }]).durable
    })
    environment.disk.processKill()
    const { disk } = environment
    const killer = newEnvironment(88, disk)
    await killer.drive(async () => {
      const file = await killer.files.open('/data/db/catalog/data.mdb', 'write')
      await file.write(new Uint8Array(64).fill(7), 0)
      await file.close()
    })
    disk.processKill()
    const second = newEnvironment(89, disk)
    let unhook = (): void => undefined
    await expect(
      second.drive(async () => {
        const db = await openSim(second)
        unhook = disk.onOperation(operation => {
          if (operation.kind === 'sync' && operation.path.endsWith('.seg')) disk.processKill()
        })
        await db.seal()
      }),
    ).rejects.toThrow(SimStopped)
    unhook()
    const third = newEnvironment(90, disk)
    await third.drive(async () => {
      expect(await third.files.list('/data/db')).toContain('segment-0000000001.seg')
      const db = await openSim(third)
      expect(db.log('a').endOffset).toBe(1)
      await db.close()
    })
  })
})

/**
 * Goal: a state machine sees what the high watermark releases, each batch once and in order, over flushes and restarts of every kind; `admit` decides
 * before anything is appended, and a follower is not asked.
 */
import { describe, expect, test } from 'vitest'
import { decodeRecords } from '../../../../engine/batch/record-batch-codec.ts'
import type { Database } from '../../../../engine/database.ts'
import { SimRandom } from '../../../../engine/env/index.ts'
import type { StateMachine } from '../../../../engine/log/log.ts'
import { bytesOf, newEnvironment, openSim, textOf } from '../../../probes/support.ts'

/** Its state is the texts it saw. */
class Texts implements StateMachine {
  texts: string[] = []
  restoredAt: number | undefined

  admit(batch: Uint8Array): void {
    for (const { value } of decodeRecords(batch, 0)) if (textOf(value)?.startsWith('bad') === true) throw new Error('bad text')
  }
  apply(bytes: Uint8Array, start: number, end: number, baseOffset: number): void {
    expect(baseOffset).toBe(this.texts.length)
    for (const { value } of decodeRecords(bytes, start, end)) this.texts.push((textOf(value) ?? '').split('.')[0] as string)
  }
  snapshot(): Uint8Array {
    return bytesOf(JSON.stringify(this.texts))
  }
  restore(snapshot: Uint8Array | undefined, appliedOffset: number): void {
    expect(this.restoredAt).toBeUndefined()
    this.restoredAt = appliedOffset
    if (snapshot !== undefined) this.texts = JSON.parse(textOf(snapshot) as string)
    expect(this.texts.length).toBe(appliedOffset)
  }
}

describe('apply and restore', () => {
  test.each([1, 2, 3, 4, 5, 6])('seed %i: the state is the fold of what is released, after closes, kills and power losses', async seed => {
    const random = new SimRandom(seed)
    let environment = newEnvironment(seed)
    const written: string[] = []
    let released = 0
    for (let life = 0; life < 8; life++) {
      await environment.drive(async () => {
        const db = await openSim(environment, { commitLogFileBytes: 16 * 1024 })
        await db.define([{ name: 'o', kind: 'topic', highWatermark: 'owner' }])
        const log = db.log('o')
        const machine = new Texts()
        log.attach(machine)
        expect(log.appliedOffset).toBe(machine.texts.length)
        expect(machine.texts.length).toBeLessThanOrEqual(released)
        expect(machine.texts.length).toBeGreaterThanOrEqual(log.highWatermark)
        expect(machine.texts).toEqual(written.slice(0, machine.texts.length))
        written.length = log.endOffset
        released = Math.max(machine.texts.length, log.highWatermark)
        for (let step = 0; step < 40; step++) {
          const texts = Array.from({ length: 1 + random.below(3) }, (_, i) => `${life}-${step}-${i}`)
          await log.appendRecords(texts.map(text => ({ value: text.padEnd(random.below(900) + 12, '.') }))).durable
          written.push(...texts)
          if (random.chance(0.5)) {
            log.advanceHighWatermark(Math.max(log.highWatermark, released, log.endOffset - random.below(6)))
            released = log.highWatermark
          }
          // Whole batches only: the watermark may cut one.
          expect(machine.texts).toEqual(written.slice(0, machine.texts.length))
          expect(released - machine.texts.length).toBeLessThan(3)
          if (random.chance(0.05)) await db.seal()
        }
        if (life % 3 === 0) await db.close()
      })
      if (life % 3 === 1) environment.disk.crash()
      if (life % 3 === 2) environment.disk.processKill()
      environment = newEnvironment(seed * 100 + life, environment.disk)
    }
    expect(written.length).toBeGreaterThan(100)
  })
})

async function withLog(seed: number, program: (db: Database) => Promise<void>): Promise<void> {
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

describe('admit', () => {
  test('a refused batch is not appended; a follower takes what its leader has admitted', async () => {
    await withLog(10, async db => {
      const follower = db.log('o')
      const leader = db.log('a')
      const machine = new Texts()
      follower.attach(machine)
      expect(() => follower.appendRecords([{ value: 'good' }, { value: 'bad' }])).toThrow(expect.objectContaining({ code: 'REFUSED' }))
      expect(follower.endOffset).toBe(0)
      await leader.appendRecords([{ value: 'bad, but admitted there' }]).durable
      const { bytes } = leader.read(0, { fillChecksums: true })
      expect(() => follower.appendBatches(bytes)).toThrow(expect.objectContaining({ code: 'REFUSED' }))
      await follower.appendBatches(bytes, { keepOffsets: true }).durable
      follower.advanceHighWatermark(1)
      expect(machine.texts).toEqual(['bad, but admitted there'])
    })
  })

  test('a log has one machine; what it throws from apply poisons the database', async () => {
    const environment = newEnvironment(11)
    await environment.drive(async () => {
      const db = await openSim(environment)
      await db.define([{ name: 'o', kind: 'topic', highWatermark: 'owner' }])
      const log = db.log('o')
      const machine = new Texts()
      log.attach(machine)
      expect(() => log.attach(new Texts())).toThrow(expect.objectContaining({ code: 'INVARIANT' }))
      machine.apply = () => {
        throw new Error('lost its mind')
      }
      await log.appendRecords([{ value: 'x' }]).durable
      log.advanceHighWatermark(1)
      expect(db.poison).toMatchObject({ code: 'INVARIANT' })
      expect(() => log.appendRecords([{ value: 'y' }])).toThrow(expect.objectContaining({ code: 'POISONED' }))
      await db.close()
      const again = await openSim(environment)
      const healthy = new Texts()
      again.log('o').attach(healthy)
      again.log('o').advanceHighWatermark(1)
      expect(healthy.texts).toEqual(['x'])
      await again.close()
    })
  })
})

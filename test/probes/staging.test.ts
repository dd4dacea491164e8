/** Probe: a commit of ten times `frameBytesMax` over a store log and two topic logs, with a crash at each point, is all or nothing. */
import { expect, test } from 'vitest'
import { bytesOf, newEnvironment, openSim, runUntilCrash, smallOptions } from './support.ts'

const recordBytes = 500
const perLog = Math.ceil((10 * (smallOptions.frameBytesMax as number)) / 3 / recordBytes)

test('a staged commit is all or nothing', async () => {
  let crashes = 0
  for (let point = 0; ; point++) {
    const environment = newEnvironment(4000 + point)
    let acknowledged = false
    const { crashed } = await runUntilCrash(environment, point, async () => {
      const db = await openSim(environment)
      await db.define([
        { name: 'store', kind: 'store' },
        { name: 'a', kind: 'topic' },
        { name: 'b', kind: 'topic' },
      ])
      await db.log('a').appendRecords([{ value: 'before' }]).durable
      const value = new Uint8Array(recordBytes).fill(120)
      const big = db.commit(commit => {
        commit.appendRecords(
          db.log('store'),
          Array.from({ length: perLog }, (_, i) => ({ kind: 'put', key: bytesOf(`key-${i}`), value })),
        )
        commit.appendRecords(
          db.log('a'),
          Array.from({ length: perLog }, () => ({ value })),
        )
        commit.appendRecords(
          db.log('b'),
          Array.from({ length: perLog }, () => ({ value })),
        )
      })
      const after = db.log('b').appendRecords([{ value: 'after' }])
      expect(after.baseOffset).toBe(perLog)
      await big.durable
      acknowledged = true
      await after.durable
      expect(db.stats().commitLog.stagedCommits).toBe(1)
      await db.seal()
      await db.close()
    })
    const again = newEnvironment(8000 + point, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      if (db.get('store') !== undefined) {
        const ends = ['store', 'a', 'b'].map(name => db.log(name).endOffset)
        if (ends[0] === 0) expect([acknowledged, (ends[1] as number) <= 1, ends[2]]).toEqual([false, true, 0])
        else expect([ends[0], ends[1], Math.min(ends[2] as number, perLog)]).toEqual([perLog, perLog + 1, perLog])
        let read = 0
        for (let offset = 0; offset < (ends[1] as number); ) {
          const slice = db.log('a').read(offset, { bound: 'end' })
          read += slice.nextOffset - offset
          offset = slice.nextOffset
        }
        expect(read).toBe(ends[1])
      } else {
        expect(acknowledged).toBe(false)
      }
      await db.seal()
      await db.close()
    })
    const names = (await again.drive(again.files.list('/data/db'))).filter(name => name.startsWith('staged'))
    expect(names).toEqual([])
    if (!crashed) break
    crashes++
  }
  expect(crashes).toBeGreaterThan(30)
})

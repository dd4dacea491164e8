/**
 * Probe: one commit over a store log, two topic logs and an offsets log is one frame. The machine dies at every disk operation, the flushes
 * between included: afterwards each commit is in all four logs or in none, and none that was acknowledged is missing.
 */
import { expect, test } from 'vitest'
import { batchEnd } from '../../engine/log/batch-kinds.ts'
import { bytesOf, newEnvironment, openSim, runUntilCrash, textOf } from './support.ts'

const names = ['store', 'topic-a', 'topic-b', 'offsets'] as const

test('a commit over four logs is all or nothing', async () => {
  let crashes = 0
  for (let point = 0; ; point += 3) {
    const environment = newEnvironment(3000 + point)
    let acknowledged = -1
    let defined = false
    const { crashed } = await runUntilCrash(environment, point, async () => {
      const db = await openSim(environment)
      await db.define(names.map(name => ({ name, kind: name === 'store' ? 'store' : 'topic' })))
      defined = true
      for (let i = 0; i < 20; i++) {
        const value = bytesOf(`${i}`.padEnd(600, '.'))
        await db.commit(commit => {
          commit.appendRecords(db.log('store'), [{ kind: 'put', key: bytesOf(`key-${i}`), value }])
          commit.appendRecords(db.log('topic-a'), [{ value }])
          commit.appendRecords(db.log('topic-b'), [{ value }])
          commit.appendRecords(db.log('offsets'), [{ key: 'group', value: `${i}` }])
          commit.setMetadata(db.log('offsets'), 'last', bytesOf(`${i}`))
        }).durable
        acknowledged = i
        if (i === 10) await db.seal()
      }
      await db.close()
    })
    const again = newEnvironment(9000 + point, environment.disk)
    await again.drive(async () => {
      const db = await openSim(again)
      if (db.get('store') === undefined) {
        expect(defined).toBe(false)
      } else {
        const ends = names.map(name => db.log(name).endOffset)
        expect(new Set(ends).size).toBe(1)
        expect(ends[0]).toBeGreaterThan(acknowledged)
        const last = textOf(db.log('offsets').metadata.get('last'))
        expect(last).toBe(ends[0] === 0 ? undefined : `${(ends[0] as number) - 1}`)
        const slice = db.log('topic-a').read(0, { bound: 'end', bytesMax: 1 << 20 })
        if (ends[0] !== 0) expect(batchEnd('topic', slice.bytes, slice.positions.at(-1) as number)).toBeLessThanOrEqual(ends[0] as number)
      }
      await db.close()
    })
    if (!crashed) break
    crashes++
  }
  expect(crashes).toBeGreaterThan(20)
})

/**
 * Goal: the three recipes of docs/TOPICS.md keep their words however often the machine dies: at-most-once never processes twice, at-least-once loses nothing,
 * exactly-once does neither. Processing is a record sent to another topic, so that what it did can be counted.
 *
 * Each seed lives several lives on one disk; each loses its power at a random disk operation, and the last one finishes. The counts over all seeds show that the test would see a difference: at-most-once does lose, at-least-once does repeat.
 */
import { expect, test } from 'vitest'
import { SimRandom } from '../../engine/env/index.ts'
import { type ConsumedBatch, type Database, isVarveError } from '../../index.ts'
import { newEnvironment, runUntilCrash } from '../probes/support.ts'
import { openTopics } from '../unit/stream/support.ts'

const count = 60
const partitions = 3

type Process = (db: Database, batch: ConsumedBatch<number>) => Promise<void>

const sendAll = async (db: Database, batch: ConsumedBatch<number>): Promise<void> => {
  for (const { value } of batch.records) await db.topic<number>('out').send(value as number)
}

const recipes: Record<string, Process> = {
  'at-most-once': async (db, batch) => {
    await batch.commit()
    await sendAll(db, batch)
  },
  'at-least-once': async (db, batch) => {
    await sendAll(db, batch)
    await batch.commit()
  },
  'exactly-once': async (db, batch) => {
    await db.transaction(tx => {
      for (const { value } of batch.records) tx.topic(db.topic<number>('out')).send(value as number)
      tx.offsets(batch)
    })
  },
}

/** Consumes with two members until the group has everything. */
async function consume(db: Database, process: Process): Promise<void> {
  const topic = db.topic<number>('in')
  const work = async (name: string): Promise<void> => {
    const consumer = topic.consume({ group: 'g', clientId: name, maxRecords: 4 })
    for (;;) {
      const batch = await consumer.poll({ maxWaitMs: 100 })
      if (batch === undefined) break
      try {
        await process(db, batch)
      } catch (error) {
        if (!isVarveError(error, 'NOT_ASSIGNED') && !isVarveError(error, 'FENCED_MEMBER')) throw error
      }
    }
    await consumer.close()
  }
  await Promise.all([work('ada'), work('bob')])
}

async function live(seed: number, process: Process): Promise<{ twice: number; never: number; crashes: number }> {
  const random = new SimRandom(seed)
  let environment = newEnvironment(seed)
  await environment.drive(async () => {
    const db = await openTopics(environment)
    await db
      .topic<number>('in', { partitions })
      .sendBatch(Array.from({ length: count }, (_, value) => ({ value, partition: value % partitions })))
    await db.topic<number>('out').ready()
    await db.close()
  })
  let crashes = 0
  const program = async (): Promise<void> => {
    const db = await openTopics(environment)
    await consume(db, process)
    await db.close()
  }
  for (let death = 0; death < 4; death++) {
    environment = newEnvironment(seed * 100 + death, environment.disk)
    const { crashed } = await runUntilCrash(environment, random.below(90), program)
    if (!crashed) continue
    crashes++
    if (environment.isAlive) throw new Error('a machine that died is not alive')
  }
  environment = newEnvironment(seed * 100 + 99, environment.disk)
  const seen = new Map<number, number>()
  await environment.drive(async () => {
    await program()
    const db = await openTopics(environment)
    expect(db.describeGroup('g').lag).toBe(0)
    for await (const { records } of db.topic<number>('out').consume({ until: 'end' }))
      for (const { value } of records) seen.set(value as number, (seen.get(value as number) ?? 0) + 1)
    await db.close()
  })
  const twice = [...seen.values()].filter(times => times > 1).length
  return { twice, never: count - seen.size, crashes }
}

const seeds = Array.from({ length: Number(process.env.SEEDS ?? 12) }, (_, seed) => seed + 1)

test.each(Object.keys(recipes))('%s', async name => {
  const total = { twice: 0, never: 0, crashes: 0 }
  for (const seed of seeds) {
    const { twice, never, crashes } = await live(seed, recipes[name] as Process)
    if (name !== 'at-least-once') expect(twice, `seed ${seed}: processed twice`).toBe(0)
    if (name !== 'at-most-once') expect(never, `seed ${seed}: never processed`).toBe(0)
    total.twice += twice
    total.never += never
    total.crashes += crashes
  }
  expect(total.crashes).toBeGreaterThan(seeds.length)
  if (name === 'at-least-once') expect(total.twice).toBeGreaterThan(0)
  if (name === 'at-most-once') expect(total.never).toBeGreaterThan(0)
})

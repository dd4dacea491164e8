/**
 * Goal: what is kept about a topic goes with it: committed offsets, states of queues, sequences of producers, tables, progress of replays, and partitions that no
 * definition counts yet. A new topic of its name begins without any of it. A crash in the middle leaves the topic whole, or nothing of it once the state is used
 * again.
 */
import { expect, test } from 'vitest'
import type { SimDisk } from '../../../../engine/env/index.ts'
import type { Database } from '../../../../index.ts'
import { newEnvironment, runUntilCrash } from '../../../probes/support.ts'
import { openTopics, readAll, withTopics } from '../support.ts'

/** Makes something of every kind that is kept about the topic 'old', and about 'other' beside it. */
async function leaveTraces(db: Database): Promise<void> {
  for (const name of ['old', 'other']) {
    const topic = db.topic<string>(name, { value: 'string', partitions: 2 })
    await topic.sendBatch(['a', 'b', 'c', 'd'].map((key, i) => ({ key, value: `${name} ${key}`, partition: i % 2 })))
    const consumer = topic.consume({ group: 'g', maxRecords: 1 })
    await (await consumer.poll())?.commit()
    await consumer.close()
    const queue = topic.queue({ group: 'q' })
    await (await queue.poll({ maxRecords: 1 }))?.ack()
    await topic.producer({ id: 'loader' }).send({ value: 'named', partition: 0 }, { sequence: 41 })
    const table = topic.table()
    await table.caughtUp()
    const stop = topic.replay({
      to: () => {
        throw new Error('enough')
      },
      resume: `replay of ${name}`,
    })
    await expect(stop).rejects.toThrow('enough')
  }
  await db.transaction(tx =>
    tx.store(db.store('__replays')).put('replay of old', { topic: db.topic('old').describe().id, positions: { 0: 1 }, ends: { 0: 2 } }),
  )
  // A process that died while it added a partition.
  await db.define([{ name: 'topic/old/2', kind: 'topic' }])
  await db.log('topic/old/2').appendRecords([{ key: 'x', value: 'left over' }]).acknowledged
}

/** Keys of all rows that are kept, by where they are, with the ids of topics as names. */
async function traces(db: Database, ids: ReadonlyMap<number, string>): Promise<string[]> {
  // Whoever uses a state first takes back what was left.
  db.groupNames()
  db.producerNames()
  db.topic('other').queue({ group: 'other' })
  db.topic('other').table()
  await db.flush()
  const found: string[] = []
  for (const topic of ['__queue_state', '__producer_state', '__consumer_offsets']) {
    const rows = new Map<string, unknown>()
    if (!db.topicNames({ internal: true }).includes(topic)) continue
    for (const { key, value } of await readAll(db.topic<unknown, string | Uint8Array>(topic).consume({ until: 'end' }))) {
      const name = typeof key === 'string' ? key : Buffer.from(key as Uint8Array).toString('hex')
      if (value === null) rows.delete(name)
      else rows.set(name, value)
    }
    found.push(...[...rows.keys()].map(key => `${topic} ${key}`))
  }
  if (db.storeNames({ internal: true }).includes('__tables'))
    for (const [id, partition] of db.store<number, [number, number]>('__tables').keys()) found.push(`__tables ${id}/${partition}`)
  for (const [name, { topic }] of db.store<{ topic: number }, string>('__replays').entries()) found.push(`__replays ${topic} ${name}`)
  for (const { name } of db.list()) if (/^topic\/old|^store\/__table-/.test(name)) found.push(name)
  for (const name of db.groupNames())
    for (const { topic, partition } of db.describeGroup(name).partitions) found.push(`group ${name} ${topic}/${partition}`)
  const isAbout = (id: number, line: string): boolean =>
    new RegExp(`\\b${id}/|__replays ${id} |__table-${id}$|${id.toString(16).padStart(16, '0')}\\d{8}$`).test(line)
  return found.map(line => `${[...ids].find(([id]) => isAbout(id, line))?.[1] ?? ''}: ${line}`).sort()
}

const idsOf = (db: Database): Map<number, string> => new Map(['old', 'other'].map(name => [db.topic(name).describe().id, name]))

test('nothing about the topic is left, and a new one of the name inherits nothing', () =>
  withTopics(1, async db => {
    await leaveTraces(db)
    const ids = idsOf(db)
    const before = await traces(db, ids)
    await db.deleteTopic('old')
    const after = await traces(db, ids)
    expect(after).toEqual(before.filter(line => !/^old: |topic\/old|group g old/.test(line)))
    expect(before.filter(line => line.startsWith('old: ')).length).toBeGreaterThan(6)

    const fresh = db.topic<string>('old', { value: 'string', partitions: 3 })
    await fresh.sendBatch([0, 1, 2].map(partition => ({ key: 'new', value: 'new', partition })))
    expect(await readAll(fresh.consume({ until: 'end' }))).toHaveLength(3)
    expect(fresh.producer({ id: 'loader' }).lastSequence()).toBeUndefined()
    const consumer = fresh.consume({ group: 'g' })
    expect((await consumer.poll())?.records[0]?.offset).toBe(0)
    await consumer.close()
    expect(fresh.queue({ group: 'q' }).stats()).toMatchObject({ available: 3 })
    await fresh.table().caughtUp()
    expect([...fresh.table()]).toEqual([['new', 'new']])
    const again = await fresh.replay({ to: () => undefined, resume: 'replay of old' })
    expect(again).toMatchObject({ resumed: false, read: 3 })
  }))

/** Runs that end at the first operation. */
const firstRuns = 8

test('a crash in the middle of a deletion leaves all or nothing', async () => {
  const ids = new Map<number, string>()
  const build = async (seed: number): Promise<SimDisk> => {
    const environment = newEnvironment(seed)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      await leaveTraces(db)
      for (const [id, name] of idsOf(db)) ids.set(id, name)
      await db.close()
    })
    return environment.disk
  }
  const disk = await build(2)
  const outcomes = { whole: 0, gone: 0 }
  // What was not synced when the machine stops is there or not, by the seed: the first write alone may be either.
  for (let run = 0, point = 0; ; run++) {
    let environment = newEnvironment(2, disk.fork(run))
    let operations = 0
    let unhook = (): void => undefined
    await runUntilCrash(environment, Number.POSITIVE_INFINITY, async () => {
      const db = await openTopics(environment)
      unhook = environment.disk.onOperation(() => {
        if (operations++ === point) environment.disk.crash()
      })
      await db.deleteTopic('old')
      environment.disk.crash()
    })
    unhook()
    environment = newEnvironment(run, environment.disk)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      const isWhole = db.topicNames().includes('old')
      const left = (await traces(db, ids)).filter(line => /^old: |topic\/old|group g old/.test(line))
      if (isWhole) expect(left.length).toBeGreaterThan(6)
      // The progress of a replay says nothing without its topic.
      else
        expect(
          left.filter(line => !line.startsWith('old: __replays')),
          `crash at operation ${point}`,
        ).toEqual([])
      outcomes[isWhole ? 'whole' : 'gone']++
      await db.close()
    })
    if (operations <= point) break
    if (point > 0 || run === firstRuns) point++
  }
  expect(outcomes.whole).toBeGreaterThan(0)
  expect(outcomes.gone).toBeGreaterThan(2)
}, 60_000)

test('who reads or waits when a topic with records that are not flushed is deleted is told so', () =>
  withTopics(3, async db => {
    const topic = db.topic<string>('t', { value: 'string' })
    await topic.send('a')
    const waiting = topic.consume()
    const loop = readAll(waiting)
    const behind = topic.consume()
    await Promise.resolve()
    await db.deleteTopic('t')
    await expect(loop).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(readAll(behind)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  }))

test('a consumer that first looks at added partitions when the topic is gone says so, each time it is asked', () =>
  withTopics(31, async db => {
    const topic = db.topic<string>('t', { value: 'string' })
    const consumer = topic.consume()
    await topic.addPartitions(2)
    await db.deleteTopic('t')
    const read = (): Promise<IteratorResult<unknown>> => consumer[Symbol.asyncIterator]().next()
    await expect(read()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(read()).rejects.toMatchObject({ code: 'NOT_FOUND' })
  }))

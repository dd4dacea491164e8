/**
 * Goal: groups hold under what real ones go through: members that come and go all the time, some that work for long, and very many groups. Nothing is lost, nobody goes
 * back behind what was committed, and whoever is fast is not held up by whoever is slow.
 */
import { expect, test } from 'vitest'
import { type Database, type GroupConsumer, isVarveError } from '../../../../index.ts'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, sleep, withTopics } from '../support.ts'

const isFenced = (error: unknown): boolean =>
  (['FENCED_MEMBER', 'UNKNOWN_MEMBER', 'NOT_ASSIGNED', 'CLOSED'] as const).some(code => isVarveError(error, code))

test.each(['cooperative-sticky', 'range'] as const)('a storm of rebalances: members join and leave every few milliseconds (%s)', assignor =>
  withTopics(1, async (db, environment) => {
    const { random } = environment
    const topic = db.topic<number>('t', { partitions: 12 })
    const seen = new Set<number>()
    const committed = new Map<number, number>()
    let [sent, isOver, generations] = [0, false, 0]
    /** The last one stays until all is done. */
    const member = async (isLast = false): Promise<void> => {
      const consumer = topic.consume({
        group: 'g',
        assignor,
        maxRecords: 1 + random.below(20),
        sessionTimeoutMs: 2000,
        maxPollIntervalMs: 1000,
      })
      for (let batches = random.below(8); batches >= 0 || isLast; batches--) {
        const batch = await consumer.poll({ maxWaitMs: 20 })
        if (batch === undefined) {
          if (isLast && consumer.lag === 0 && consumer.assignment.length === 12) break
          continue
        }
        if (random.below(4) === 0) await sleep(environment, random.below(30))
        const values = batch.records.map(({ value }) => value as number)
        try {
          await batch.commit()
          const before = committed.get(batch.partition) ?? 0
          if (batch.nextOffset < before) throw new Error(`partition ${batch.partition} went back from ${before} to ${batch.nextOffset}`)
          committed.set(batch.partition, batch.nextOffset)
          for (const value of values) seen.add(value)
        } catch (error) {
          if (!isFenced(error)) throw error
        }
      }
      generations = Math.max(generations, consumer.generation)
      await consumer.close()
    }
    const seat = async (): Promise<void> => {
      while (!isOver) {
        await sleep(environment, random.below(40))
        await member()
      }
    }
    const storm = Array.from({ length: 25 }, seat)
    for (; sent < 3000; sent += 30) {
      await topic.sendBatch(Array.from({ length: 30 }, (_, i) => ({ value: sent + i, partition: (sent + i) % 12 })))
      await sleep(environment, 10)
    }
    isOver = true
    await Promise.all(storm)
    await member(true)
    expect(seen.size).toBe(3000)
    expect(db.describeGroup('g')).toMatchObject({ state: 'Empty', lag: 0 })
    expect(generations).toBeGreaterThan(10)
  }),
)

test('a member that works on a batch for long holds up nobody: the others go on with theirs, and new ones get what is free', () =>
  withTopics(2, async (db, environment) => {
    const topic = db.topic<number>('t', { partitions: 4 })
    const send = (): Promise<unknown> => topic.sendBatch([0, 1, 2, 3].map(partition => ({ value: 1, partition })))
    await send()
    const slow = topic.consume({ group: 'g', maxRecords: 1 })
    const held = await slow.poll()
    const counts = new Map<string, number>()
    const fast = ['ada', 'bob'].map(async (name): Promise<GroupConsumer<number>> => {
      const consumer = topic.consume({ group: 'g', clientId: name })
      for await (const batch of consumer) {
        counts.set(name, (counts.get(name) ?? 0) + batch.records.length)
        await batch.commit()
      }
      return consumer
    })
    for (let i = 0; i < 20; i++) {
      await send()
      await sleep(environment, 1000)
    }
    // All that the slow one holds waits for it alone: it has not asked for more.
    const report = db.describeGroup('g')
    const slowPartitions = report.partitions.filter(({ memberId }) => memberId === slow.memberId)
    expect(slowPartitions.length).toBe(4)
    await held?.commit()
    const next = slow.poll()
    await sleep(environment, 1000)
    for (let i = 0; i < 5; i++) {
      await send()
      await sleep(environment, 1000)
    }
    // It works again for long, on what is its own now; the others have theirs.
    await next
    for (let i = 0; i < 20; i++) {
      await send()
      await sleep(environment, 1000)
    }
    for (const { memberId, lag } of db.describeGroup('g').partitions) if (memberId !== slow.memberId) expect(lag).toBe(0)
    expect([...counts.keys()].sort()).toEqual(['ada', 'bob'])
    expect(Math.min(...counts.values())).toBeGreaterThan(20)
    await slow.close()
    await db.close()
    await Promise.all(fast)
  }))

test('ten thousand groups commit, and are all there after a reopening', async () => {
  const environment = newEnvironment(3)
  const count = 10_000
  const offsetOf = (n: number): number => n % 7
  await environment.drive(async () => {
    let db: Database = await openTopics(environment, { frameBytesMax: 64 * 1024, commitLogFileBytes: 512 * 1024 })
    await db.topic<number>('t').sendBatch([0, 1, 2, 3, 4, 5, 6, 7])
    await Promise.all(Array.from({ length: count }, (_, n) => db.resetGroup(`g${n}`, 't', { offset: offsetOf(n) })))
    await db.close()
    db = await openTopics(environment)
    expect(db.groupNames()).toHaveLength(count)
    for (let n = 0; n < count; n += 97) expect(db.describeGroup(`g${n}`)).toMatchObject({ state: 'Empty', lag: 8 - offsetOf(n) })
    const consumer = db.topic<number>('t').consume({ group: 'g6', autoOffsetReset: 'none' })
    expect((await consumer.poll())?.records[0]?.offset).toBe(offsetOf(6))
    await consumer.close()
    await db.close()
  })
})

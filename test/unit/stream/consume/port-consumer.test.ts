/**
 * Goal: a consumer behind a MessagePort is a member like any other: shares partitions with those of the database's thread, reads, commits, is fenced with
 * the same errors, wakes for new records; and when its thread ends, its partitions are free at once.
 */
import { MessageChannel } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { type Database, type GroupConsumer, open, openConsumer, type PortConsumerOptions, VarveError } from '../../../../index.ts'
import type { GroupRequest } from '../../../../stream/groups/group-messages.ts'
import type { PortLike } from '../../../../stream/groups/port-messages.ts'
import { servePort } from '../../../../stream/groups/port-server.ts'
import { PortTransport } from '../../../../stream/groups/port-transport.ts'
import { withMemoryDatabase } from '../support.ts'

/** A consumer on the far end of a channel, as a worker would make it. */
function behindPort<V>(
  db: Database,
  options: Partial<PortConsumerOptions<V, string>> = {},
): { consumer: GroupConsumer<V>; kill: () => void } {
  const { port1, port2 } = new MessageChannel()
  db.serveConsumers(port1)
  const topics = options.pattern === undefined ? { topics: ['t'] } : {}
  return { consumer: openConsumer<V>(port2, { group: 'g', ...topics, ...options }), kill: () => port2.close() }
}

async function fill(db: Database, count: number, from = 0): Promise<void> {
  const topic = db.topic<number>('t', { partitions: 4 })
  await topic.sendBatch(Array.from({ length: count }, (_, at) => ({ value: from + at, partition: at % 4 })))
}

async function take(consumer: GroupConsumer<number>, maxWaitMs: number): Promise<number[]> {
  const values: number[] = []
  for (;;) {
    const batch = await consumer.poll({ maxWaitMs })
    if (batch === undefined) return values
    values.push(...batch.records.map(({ value }) => value as number))
    await batch.commit({ metadata: 'there' })
  }
}

const sorted = (...lists: number[][]): number[] => lists.flat().sort((a, b) => a - b)
const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at)

test('shares a topic with a consumer of the owner, commits, and goes on when new records come', () =>
  withMemoryDatabase(async db => {
    await fill(db, 40)
    const { consumer } = behindPort<number>(db)
    const here = db.topic<number>('t').consume({ group: 'g' })
    const [there, mine] = await Promise.all([take(consumer, 150), take(here, 150)])
    expect(sorted(there, mine)).toEqual(upTo(40))
    expect([consumer.assignment.length, here.assignment.length]).toEqual([2, 2])
    const next = Promise.all([take(consumer, 300), take(here, 300)])
    await fill(db, 8, 40)
    expect(sorted(...(await next))).toEqual([40, 41, 42, 43, 44, 45, 46, 47])
    expect(db.describeGroup('g')).toMatchObject({ state: 'Stable', lag: 0 })
    expect((await consumer.committed()).every(({ metadata }) => metadata === 'there')).toBe(true)
    await consumer.close()
    await here.close()
    expect(db.describeGroup('g').state).toBe('Empty')
  }))

test('when the thread ends, its partitions are free at once, and its records come again', () =>
  withMemoryDatabase(async db => {
    await fill(db, 8)
    const { consumer, kill } = behindPort<number>(db)
    expect((await consumer.poll())?.records.length).toBeGreaterThan(0)
    kill()
    const heir = db.topic<number>('t').consume({ group: 'g' })
    expect(sorted(await take(heir, 200))).toEqual(upTo(8))
    await expect(consumer.commit()).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(consumer.poll()).rejects.toMatchObject({ code: 'CLOSED' })
    await consumer.close()
    await heir.close()
  }))

test('a static member whose thread ends keeps its partitions for its session timeout, and has them again in another, without a rebalance', () =>
  withMemoryDatabase(async db => {
    await fill(db, 4)
    const options = { sessionTimeoutMs: 2000, heartbeatIntervalMs: 100 }
    const first = behindPort<number>(db, { ...options, instanceId: 'first' })
    const second = behindPort<number>(db, { ...options, instanceId: 'second' })
    const counts = (): number[] => [first, second].map(({ consumer }) => consumer.assignment.length)
    while (String(counts()) !== '2,2') await Promise.all([first.consumer.poll({ maxWaitMs: 20 }), second.consumer.poll({ maxWaitMs: 20 })])
    const held = first.consumer.assignment
    const { generation } = db.describeGroup('g')
    first.kill()
    await second.consumer.poll({ maxWaitMs: 100 })
    const again = behindPort<number>(db, { ...options, instanceId: 'first' })
    await again.consumer.poll({ maxWaitMs: 500 })
    expect(again.consumer.assignment).toEqual(held)
    expect(counts()[1]).toBe(2)
    expect(db.describeGroup('g').generation).toBe(generation)
    again.kill()
    while (counts()[1] !== 4) await second.consumer.poll({ maxWaitMs: 100 })
    await second.consumer.close()
  }))

test('is fenced with the same errors; by pattern, by time, raw; and has no transactions', () =>
  withMemoryDatabase(async db => {
    await fill(db, 8)
    const { consumer } = behindPort<number>(db, { pattern: /^t$/, instanceId: 'one', autoOffsetReset: { time: 0 } })
    const batch = await consumer.poll()
    await expect(db.transaction(tx => batch !== undefined && tx.offsets(batch))).rejects.toThrow(/transactions/)
    const second = db.topic<number>('t').consume({ group: 'g', instanceId: 'one' })
    await second.poll({ maxWaitMs: 50 })
    await expect(batch?.commit()).rejects.toMatchObject({ code: 'FENCED_MEMBER', details: { reason: 'replaced' } })
    await consumer.close()
    await second.close()
    const raw = behindPort<number>(db, { group: 'raw' }).consumer
    for await (const slice of raw.raw()) {
      expect(slice.positions.length).toBeGreaterThan(0)
      await slice.commit()
      break
    }
    expect(db.describeGroup('raw').partitions.some(({ offset }) => offset !== undefined)).toBe(true)
  }))

test('codecs of one’s own are given by name, and bad arguments are told', () =>
  withMemoryDatabase(async db => {
    const codec = {
      name: 'hex',
      encode: (value: string) => Buffer.from(value, 'hex'),
      decode: (bytes: Uint8Array) => Buffer.from(bytes).toString('hex'),
    }
    await db.topic<string>('t', { value: codec }).send('beef')
    const with_ = behindPort<string>(db, { value: codec, group: 'with' }).consumer
    expect((await with_.poll())?.records[0]?.value).toBe('beef')
    await with_.close()
    const without = behindPort<string>(db).consumer
    await expect(without.poll()).rejects.toMatchObject({ code: 'CODEC_MISSING' })
    await without.close()
    const none = behindPort<string>(db, { topics: ['none'], group: 'none' }).consumer
    expect(await none.poll({ maxWaitMs: 50 })).toBeUndefined()
    await none.close()
    expect(() => db.serveConsumers(1 as never)).toThrow(/port/)
    const { port2 } = new MessageChannel()
    expect(() => openConsumer(port2, { group: 'g' })).toThrow(/topics or pattern/)
    port2.close()
    for (const port of [undefined, {}])
      expect(() => openConsumer(port as never, { group: 'g', topics: ['t'] })).toThrow(/^port must be a MessagePort, got /)
  }))

test('a topic that was deleted takes nothing along: what was processed of the others is committed when the consumer is closed', () =>
  withMemoryDatabase(async db => {
    await db.topic<string>('gone', { value: 'string' }).send('a')
    await db.topic<string>('stays', { value: 'string' }).send('b')
    const revoked: string[] = []
    const { consumer } = behindPort<string>(db, {
      topics: ['gone', 'stays'],
      autoCommit: { intervalMs: 100_000 },
      onRevoked: places => void revoked.push(...places.map(({ topic }) => topic)),
    })
    for (let count = 0; count < 2; ) count += (await consumer.poll())?.records.length ?? 0
    // Nothing waits for records there, and nothing else would tell.
    consumer.pause(consumer.assignment)
    expect(await consumer.poll({ maxWaitMs: 10 })).toBeUndefined()
    const deleted = db.deleteTopic('gone')
    await consumer.close()
    await deleted
    expect(db.describeGroup('g').partitions).toMatchObject([{ topic: 'stays', offset: 1 }])
    expect(revoked).toContain('stays')
  }))

test('a member that was removed is not listened to any more, though its port stays', async () => {
  const { port1, port2 } = new MessageChannel()
  const listening = new Set<string>()
  let isMember = true
  const transport = {
    request: ({ type }: GroupRequest) => {
      if (type === 'join') return { memberId: 'm' }
      if (isMember) return { memberId: 'm' }
      throw new VarveError('FENCED_MEMBER', 'too slow')
    },
    listen: (memberId: string) => {
      listening.add(memberId)
      return () => void listening.delete(memberId)
    },
  }
  const end = servePort(port1, { transport } as never)
  const far = new PortTransport(port2)
  const heartbeat = { type: 'heartbeat', group: 'g', memberId: 'm' } as GroupRequest
  await far.request({ type: 'join', group: 'g' } as GroupRequest)
  await far.request(heartbeat)
  expect([...listening]).toEqual(['m'])
  isMember = false
  await expect(far.request(heartbeat)).rejects.toMatchObject({ code: 'FENCED_MEMBER' })
  expect([...listening]).toEqual([])
  far.close()
  end()
})

test('one without partitions hears that the database was closed at once', async () => {
  const db = await open({ storage: 'memory' })
  await db.topic<number>('t').send(1)
  const options = { heartbeatIntervalMs: 20_000, sessionTimeoutMs: 60_000 }
  const holder = behindPort<number>(db, options).consumer
  expect((await holder.poll())?.records).toHaveLength(1)
  const { consumer } = behindPort<number>(db, options)
  expect(await consumer.poll({ maxWaitMs: 50 })).toBeUndefined()
  const polled = consumer.poll().catch(error => error)
  await new Promise(resolve => setTimeout(resolve, 10))
  const before = performance.now()
  await db.close()
  expect(await polled).toMatchObject({ code: 'CLOSED' })
  expect(performance.now() - before).toBeLessThan(5000)
})

test('a loop whose consumer is closed while it asks for something ends, as any other', () =>
  withMemoryDatabase(async db => {
    await fill(db, 4)
    const { port1, port2 } = new MessageChannel()
    db.serveConsumers(port1)
    let closed: Promise<void> | undefined
    const port: PortLike = {
      on: (event, listen) => port2.on(event, listen),
      unref: () => port2.unref(),
      close: () => port2.close(),
      postMessage: (message, transfer) => {
        // What it has committed is asked, and never answered.
        if ((message as { verb: string }).verb === 'committed') closed = consumer.close()
        else port2.postMessage(message, transfer as [])
      },
    }
    const consumer = openConsumer<number>(port, { group: 'g', topics: ['t'] })
    for await (const _ of consumer) throw new Error('it has taken nothing up')
    await closed
    expect(closed).toBeDefined()
  }))

/**
 * Goal: consumers of a group share a topic as Kafka's do: every record once while nobody dies, offsets that the next owner goes on from, listeners in their
 * order, fencing of whoever is too slow; and what a consumer can do to its partitions: seek, pause, resume, position, committed, lag.
 *
 * One file, although long: all of it is about one class, and shares the ways to make a slow, a dying and a static consumer.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import { createSimEnvironment, type SimEnvironment } from '../../../../engine/env/index.ts'
import { taskRunners } from '../../../../engine/maintenance/tasks.ts'
import {
  type Database,
  type GroupConsumeOptions,
  GroupConsumer,
  type GroupMessage,
  isVarveError,
  type TopicPartition,
  VarveError,
} from '../../../../index.ts'
import { resolveGroupConsume } from '../../../../stream/consume/group-consume-options.ts'
import { Topics } from '../../../../stream/topic/topics.ts'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, withTopics } from '../support.ts'

const shown = (places: readonly TopicPartition[]): string => places.map(({ topic, partition }) => `${topic}${partition}`).join(' ')

function sleep(environment: SimEnvironment, ms: number): Promise<void> {
  return new Promise(resolve => {
    environment.timers.after(ms, resolve)
  })
}

/** Numbers 0 .. count - 1 over all partitions in turn. */
async function fill(db: Database, topic: string, partitions: number, count: number, from = 0): Promise<void> {
  const handle = db.topic<number>(topic, { partitions })
  await handle.sendBatch(Array.from({ length: count }, (_, at) => ({ value: from + at, partition: at % partitions })))
}

/** A consumer in a loop of its own: takes what comes, commits each batch. */
class Worker {
  readonly consumer: GroupConsumer<number>
  readonly seen: number[] = []
  readonly log: string[] = []
  readonly done: Promise<void>
  error: unknown
  /** Called with each batch before its commit. */
  onBatch: (values: number[]) => Promise<void> | void = () => undefined

  constructor(db: Database, name: string, options: Partial<GroupConsumeOptions> = {}) {
    this.consumer = db.topic<number>('t').consume({
      group: 'g',
      clientId: name,
      onAssigned: places => void this.log.push(`+ ${shown(places)}`),
      onRevoked: places => void this.log.push(`- ${shown(places)}`),
      onLost: places => void this.log.push(`! ${shown(places)}`),
      ...options,
    })
    this.done = this.run().catch(error => {
      this.error = error
    })
  }

  private async run(): Promise<void> {
    for await (const batch of this.consumer) {
      const values = batch.records.map(({ value }) => value as number)
      await this.onBatch(values)
      try {
        await batch.commit()
        this.seen.push(...values)
      } catch (error) {
        this.log.push(isVarveError(error) ? error.code : String(error))
      }
    }
  }

  async stop(): Promise<void> {
    await this.consumer.close()
    await this.done
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at)
const sorted = (...lists: readonly number[][]): number[] => lists.flat().sort((a, b) => a - b)

describe('sharing', () => {
  test('one consumer gets everything in the order of each partition, and the group goes on where it was', () =>
    withTopics(1, async (db, environment) => {
      await fill(db, 't', 3, 30)
      const first = new Worker(db, 'ada')
      await sleep(environment, 1000)
      await first.stop()
      expect(sorted(first.seen)).toEqual(upTo(30))
      for (const partition of [0, 1, 2]) {
        const own = first.seen.filter(value => value % 3 === partition)
        expect(own).toEqual([...own].sort((a, b) => a - b))
      }
      await fill(db, 't', 3, 6, 30)
      const second = new Worker(db, 'bob')
      await sleep(environment, 1000)
      await second.stop()
      expect(sorted(second.seen)).toEqual([30, 31, 32, 33, 34, 35])
    }))

  test('two groups get all records each', () =>
    withTopics(2, async (db, environment) => {
      await fill(db, 't', 2, 10)
      const ada = new Worker(db, 'ada', { group: 'a' })
      const bob = new Worker(db, 'bob', { group: 'b' })
      await sleep(environment, 1000)
      await Promise.all([ada.stop(), bob.stop()])
      expect(sorted(ada.seen)).toEqual(upTo(10))
      expect(sorted(bob.seen)).toEqual(upTo(10))
    }))

  test.each(['cooperative-sticky', 'range'] as const)('%s: members come and go while records flow; each is processed once', assignor =>
    withTopics(3, async (db, environment) => {
      await fill(db, 't', 4, 40)
      const options = { assignor, maxRecords: 3 }
      const workers = [new Worker(db, 'ada', options)]
      let sent = 40
      for (let round = 0; round < 6; round++) {
        await sleep(environment, 200)
        await fill(db, 't', 4, 20, sent)
        sent += 20
        if (round === 1) workers.push(new Worker(db, 'bob', options))
        if (round === 2) workers.push(new Worker(db, 'cid', options))
        if (round === 3) await workers[0]?.stop()
      }
      await sleep(environment, 2000)
      expect(db.describeGroup('g')).toMatchObject({ state: 'Stable', lag: 0 })
      for (const worker of workers) await worker.stop()
      expect(workers.map(({ error }) => error)).toEqual([undefined, undefined, undefined])
      expect(sorted(...workers.map(({ seen }) => seen))).toEqual(upTo(sent))
      expect(workers[1]?.seen.length).toBeGreaterThan(0)
      if (assignor === 'cooperative-sticky') expect(workers[0]?.log.slice(0, 2)).toEqual(['+ t0 t1 t2 t3', '- t2 t3'])
      else expect(workers[0]?.log.slice(0, 3)).toEqual(['+ t0 t1 t2 t3', '- t0 t1 t2 t3', '+ t0 t1'])
    }),
  )

  test('a rebalance waits for the batch that is being processed, and a commit of it still counts', () =>
    withTopics(4, async (db, environment) => {
      await fill(db, 't', 2, 20)
      const ada = new Worker(db, 'ada')
      ada.onBatch = () => sleep(environment, 5000)
      await sleep(environment, 1000)
      const bob = new Worker(db, 'bob')
      await sleep(environment, 2000)
      expect(shown(bob.consumer.assignment)).toBe('')
      ada.onBatch = () => undefined
      await sleep(environment, 20_000)
      expect([shown(ada.consumer.assignment), shown(bob.consumer.assignment)]).toEqual(['t0', 't1'])
      await Promise.all([ada.stop(), bob.stop()])
      expect(sorted(ada.seen, bob.seen)).toEqual(upTo(20))
      expect([...ada.log, ...bob.log].filter(line => /^[A-Z]/.test(line))).toEqual([])
    }))

  test('partitions that are added are shared, topics that match a pattern are found, deleted ones are let go', () =>
    withTopics(5, async (db, environment) => {
      await fill(db, 'a1', 1, 2)
      const seen: string[] = []
      const consumer = db.consumer<number>({ pattern: /^a\d$/, group: 'g', onRevoked: places => void seen.push(`- ${shown(places)}`) })
      const loop = (async () => {
        for await (const batch of consumer) seen.push(`${batch.topic}/${batch.partition}:${batch.records.length}`)
      })()
      await sleep(environment, 500)
      await fill(db, 'a2', 1, 1)
      await fill(db, 'b1', 1, 1)
      await sleep(environment, 500)
      await db.topic<number>('a1').addPartitions(2)
      await db.topic<number>('a1').send({ value: 7, partition: 1 })
      await sleep(environment, 500)
      await db.deleteTopic('a2')
      await sleep(environment, 500)
      await consumer.close()
      await loop
      expect(seen).toEqual(['a1/0:2', 'a2/0:1', 'a1/1:1', '- a20', '- a10 a11'])
    }))

  test('several topics by name or handle; a topic that is not there is NOT_FOUND', () =>
    withTopics(6, async (db, environment) => {
      await fill(db, 't', 2, 4)
      await fill(db, 'u', 1, 3)
      const consumer = db.consumer<number>({ topics: ['t', db.topic('u')], group: 'g' })
      let count = 0
      for (let batch = await consumer.poll(); batch !== undefined; batch = await consumer.poll({ maxWaitMs: 100 }))
        count += batch.records.length
      expect(count).toBe(7)
      expect(shown(consumer.assignment)).toBe('t0 t1 u0')
      consumer.subscribe(['u'])
      await sleep(environment, 100)
      expect(await consumer.poll({ maxWaitMs: 100 })).toBeUndefined()
      expect(shown(consumer.assignment)).toBe('u0')
      await consumer.close()
      expect(() => db.consumer({ topics: ['none'], group: 'g' })).toThrow(/none/)
    }))
})

describe('offsets', () => {
  test('survive a reopen, with metadata; the next consumer begins there', async () => {
    const environment = newEnvironment(7)
    await environment.drive(async () => {
      let db = await openTopics(environment)
      await fill(db, 't', 1, 10)
      const consumer = db.topic<number>('t').consume({ group: 'g', maxRecords: 4 })
      const batch = await consumer.poll()
      await batch?.commit({ metadata: 'half way' })
      await db.close()
      db = await openTopics(environment)
      expect(db.groupNames()).toEqual(['g'])
      expect(db.describeGroup('g')).toMatchObject({
        state: 'Empty',
        lag: 6,
        partitions: [{ topic: 't', partition: 0, offset: 4, metadata: 'half way' }],
      })
      const again = db.topic<number>('t').consume({ group: 'g' })
      expect((await again.poll())?.records.map(({ value }) => value)).toEqual([4, 5, 6, 7, 8, 9])
      expect(await again.committed()).toMatchObject([{ topic: 't', partition: 0, offset: 4, metadata: 'half way' }])
      await db.close()
    })
  })

  test('follow a rename, are gone with the topic, and reset and delete work on empty groups only', () =>
    withTopics(8, async (db, environment) => {
      await fill(db, 't', 2, 10)
      const worker = new Worker(db, 'ada')
      await sleep(environment, 500)
      await expect(db.resetGroup('g', 't', 'earliest')).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY' })
      await expect(db.deleteGroup('g')).rejects.toMatchObject({ code: 'GROUP_NOT_EMPTY' })
      await worker.stop()
      await db.renameTopic('t', 'new')
      expect(db.describeGroup('g').partitions).toMatchObject([
        { topic: 'new', partition: 0, offset: 5, lag: 0 },
        { topic: 'new', partition: 1, offset: 5, lag: 0 },
      ])
      const offsets = async (...reset: Parameters<Database['resetGroup']>): Promise<number[]> =>
        (await db.resetGroup(...reset)).map(({ offset }) => offset)
      expect(await offsets('g', 'new', { shift: -2 })).toEqual([3, 3])
      expect(await offsets('g', 'new', { shift: 100 }, [1])).toEqual([5])
      expect(await offsets('g', 'new', 'earliest', [0])).toEqual([0])
      expect(await offsets('g', 'new', { offset: 2 }, [0])).toEqual([2])
      expect(await offsets('g', 'new', { time: environment.clock.now() + 1000 })).toEqual([5, 5])
      expect(await offsets('g', 'new', 'latest')).toEqual([5, 5])
      await expect(db.resetGroup('g', 'none', 'latest')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(db.resetGroup('g', 'new', 'latest', [2])).rejects.toThrow(/partition/)
      for (const to of ['start', {}, null, { offest: 1 }, { offset: 1, time: 2 }])
        await expect(db.resetGroup('g', 'new', to as never)).rejects.toThrow(
          /^to must be 'earliest', 'latest', \{ offset \}, \{ time \} or/,
        )
      await db.deleteTopic('new')
      expect(db.groupNames()).toEqual(['g'])
      expect(db.describeGroup('g').partitions).toEqual([])
      await db.deleteGroup('g')
      expect(() => db.describeGroup('g')).toThrow(/g/)
      await expect(db.deleteGroup('g')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    }))

  test('autoOffsetReset: earliest, latest, by time, none; and a committed offset that retention has deleted', () =>
    withTopics(9, async (db, environment) => {
      await fill(db, 't', 1, 5)
      await sleep(environment, 1000)
      const time = environment.clock.now()
      await fill(db, 't', 1, 5, 5)
      const first = async (options: Partial<GroupConsumeOptions>): Promise<number | undefined> => {
        const consumer = db.topic<number>('t').consume({ group: `g${Math.abs(JSON.stringify(options).length)}`, ...options })
        const batch = await consumer.poll({ maxWaitMs: 200 })
        await consumer.close()
        return batch?.records[0]?.value as number | undefined
      }
      expect(await first({ autoOffsetReset: 'earliest' })).toBe(0)
      expect(await first({ autoOffsetReset: 'latest' })).toBeUndefined()
      expect(await first({ autoOffsetReset: { time } })).toBe(5)
      await expect(first({ autoOffsetReset: 'none' })).rejects.toMatchObject({ code: 'NO_OFFSET' })
      await db.resetGroup('old', 't', { offset: 2 })
      await db.topic<number>('t').deleteRecords(0, 4)
      expect(await first({ group: 'old' })).toBe(4)
      await expect(first({ group: 'old', autoOffsetReset: 'none' })).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    }))

  test('retention that overtakes a reader moves it on', () =>
    withTopics(10, async db => {
      await fill(db, 't', 1, 10)
      const consumer = db.topic<number>('t').consume({ group: 'g', maxRecords: 1 })
      await consumer.poll()
      consumer.seek({ topic: 't', partition: 0 }, 1)
      await db.topic<number>('t').deleteRecords(0, 6)
      expect((await consumer.poll())?.records[0]?.value).toBe(6)
      await consumer.close()
    }))

  test('automatic commits: what was processed, by time and when partitions are given up, and never what is in hand', () =>
    withTopics(11, async (db, environment) => {
      await fill(db, 't', 1, 6)
      const committed = (): number | undefined => db.describeGroup('g').partitions[0]?.offset
      const consumer = db.topic<number>('t').consume({ group: 'g', maxRecords: 2, autoCommit: { intervalMs: 100 } })
      await consumer.poll()
      await sleep(environment, 200)
      await consumer.poll() // the first two count as processed from here
      expect(committed()).toBe(2)
      await consumer.close()
      expect(committed()).toBe(2)
      const records = db.topic<number>('t').consume({ group: 'g', autoCommit: true })
      for await (const { value } of records.records()) if (value === 4) break
      expect(committed()).toBe(4)
      // What was committed by hand is not taken back.
      const both = db.topic<number>('t').consume({ group: 'g', autoCommit: true })
      await both.poll()
      await both.commit()
      await both.close()
      expect(committed()).toBe(6)
    }))

  test('records: commit() includes the record in hand', () =>
    withTopics(12, async db => {
      await fill(db, 't', 1, 6)
      const consumer = db.topic<number>('t').consume({ group: 'g' })
      for await (const { value } of consumer.records()) {
        if (value !== 3) continue
        await consumer.commit()
        break
      }
      expect(db.describeGroup('g')).toMatchObject({ state: 'Empty', partitions: [{ offset: 4 }] })
    }))

  test('records: what a seek or a pause leaves of a batch is not taken for handed out', () =>
    withTopics(34, async db => {
      await fill(db, 't', 1, 6)
      const consumer = db.topic<number>('t').consume({ group: 'g' })
      const place = { topic: 't', partition: 0 }
      const seen: number[] = []
      for await (const { value } of consumer.records()) {
        seen.push(value as number)
        if (seen.length === 4) {
          consumer.seek(place, 1)
          await consumer.commit()
          expect(db.describeGroup('g').partitions[0]?.offset).toBe(1)
        }
        if (seen.length === 6) {
          consumer.pause([place])
          await consumer.commit()
          setTimeout(() => consumer.resume([place]))
        }
        if (seen.length === 8) break
      }
      expect(seen).toEqual([0, 1, 2, 3, 1, 2, 3, 4])
      expect(db.describeGroup('g').partitions[0]?.offset).toBe(3)
    }))

  test('raw slices can be committed too', () =>
    withTopics(13, async db => {
      await fill(db, 't', 1, 6)
      for await (const slice of db.topic('t').consume({ group: 'g' }).raw()) {
        expect(slice.positions.length).toBeGreaterThan(0)
        await slice.commit()
        break
      }
      expect(db.describeGroup('g').lag).toBe(0)
    }))

  test('are forgotten a week after the group is empty, and not while it has members', async () => {
    const environment = newEnvironment(14)
    const day = 24 * 60 * 60 * 1000
    await environment.drive(async () => {
      const db = await openTopics(environment)
      await fill(db, 't', 2, 4)
      await db.resetGroup('idle', 't', 'latest')
      const worker = new Worker(db, 'ada', { heartbeatIntervalMs: day / 10, sessionTimeoutMs: day, maxPollIntervalMs: day })
      await sleep(environment, 8 * day)
      await fill(db, 't', 2, 2, 4)
      await sleep(environment, day)
      expect(db.groupNames()).toEqual(['g'])
      await worker.stop()
      await sleep(environment, 6 * day)
      expect(db.groupNames()).toEqual(['g'])
      await sleep(environment, 2 * day)
      expect(db.groupNames()).toEqual([])
      await db.close()
    })
  })
})

describe('handling partitions', () => {
  test('seek, seekToTime, pause, resume, position, lag', () =>
    withTopics(15, async (db, environment) => {
      await fill(db, 't', 1, 5)
      await sleep(environment, 1000)
      const time = environment.clock.now()
      await fill(db, 't', 1, 5, 5)
      const place = { topic: 't', partition: 0 }
      const onAssigned = (): void => consumer.seek(place, 3)
      const consumer: GroupConsumer<number> = db.topic<number>('t').consume({ group: 'g', maxRecords: 2, onAssigned })
      const next = async (): Promise<number | undefined> =>
        (await consumer.poll({ maxWaitMs: 50 }))?.records[0]?.value as number | undefined
      expect(() => consumer.position(place)).toThrow(RangeError)
      expect(await next()).toBe(3)
      expect(consumer.position(place)).toBe(5)
      expect(consumer.lag).toBe(5)
      consumer.pause([place])
      expect(await next()).toBeUndefined()
      consumer.resume([place])
      expect(await next()).toBe(5)
      consumer.seek(place, 0)
      expect(await next()).toBe(0)
      await consumer.seekToTime(place, time)
      expect(await next()).toBe(5)
      expect(() => consumer.seek(place, -1)).toThrow(RangeError)
      expect(() => consumer.pause([{ topic: 't', partition: 1 }])).toThrow(RangeError)
      for (const maxWaitMs of ['x', Number.NaN, -1])
        await expect(consumer.poll({ maxWaitMs } as never)).rejects.toThrow(/^maxWaitMs must be a number from 0 on, got /)
      await expect(consumer.poll({ maxWait: 1 } as never)).rejects.toThrow('unknown option of poll: maxWait')
      consumer.seek(place, 9)
      const batch = await consumer.poll()
      await expect(batch?.commit({ metdata: 'x' } as never)).rejects.toThrow('unknown option of commit: metdata')
      await consumer.close()
      await expect(consumer.commit()).resolves.toBeUndefined() // nothing was handed out that could be
      expect(await next()).toBeUndefined()
    }))

  test('a consumer has one loop at a time, and ends by close, signal and the database', () =>
    withTopics(16, async (db, environment) => {
      await fill(db, 't', 1, 1)
      const consumer = db.topic<number>('t').consume({ group: 'g' })
      const polling = consumer.poll()
      await expect(consumer.poll()).rejects.toThrow(/one loop/)
      await polling
      await consumer.close()
      await consumer.close()
      const controller = new AbortController()
      const stopped = new Worker(db, 'ada', { signal: controller.signal })
      await sleep(environment, 100)
      controller.abort()
      await stopped.done
      expect(db.describeGroup('g').state).toBe('Empty')
      const last = new Worker(db, 'bob')
      await sleep(environment, 100)
      await db.close()
      await last.done
      expect([stopped.error, last.error]).toEqual([undefined, undefined])
      expect(last.log).toEqual(['+ t0', '- t0'])
    }))
})

describe('whoever does not follow', () => {
  test('a slow consumer is fenced and told: its commit is refused, onLost is called, and it joins again', () =>
    withTopics(17, async (db, environment) => {
      await fill(db, 't', 2, 8)
      const options = { maxPollIntervalMs: 10_000, maxRecords: 4 }
      const slow = new Worker(db, 'slow', options)
      let once = true
      slow.onBatch = () => {
        const wait = once ? 60_000 : 0
        once = false
        return sleep(environment, wait)
      }
      await sleep(environment, 1000)
      const quick = new Worker(db, 'quick', options)
      await sleep(environment, 50_000)
      expect(sorted(quick.seen)).toEqual(upTo(8))
      await sleep(environment, 30_000)
      expect(slow.log.slice(0, 3)).toEqual(['+ t0 t1', 'FENCED_MEMBER', '! t0 t1'])
      expect(slow.log[3]).toMatch(/^\+ t[01]$/)
      expect(db.describeGroup('g')).toMatchObject({ state: 'Stable', stats: { fenced: 1 } })
      await Promise.all([slow.stop(), quick.stop()])
      expect(slow.error).toBeUndefined()
    }))

  test('one that dies holding a batch: after its session timeout the batch comes again elsewhere', () =>
    withTopics(18, async (db, environment) => {
      await fill(db, 't', 1, 4)
      const { groups } = new Topics(db)
      // A process that is stopped: none of its timers fires any more.
      let isStopped = false
      const after = (ms: number, run: () => void): (() => void) => environment.timers.after(ms, () => isStopped || run())
      const place = {
        ...{ transport: groups.transport, database: undefined, commitWith: undefined },
        environment: { clock: environment.clock, timers: { after, soon: environment.timers.soon } },
        partition: (topic: string, partition: number) => groups.partition(topic, partition),
      }
      const dead = new GroupConsumer<number>(place, ['t'], resolveGroupConsume({ group: 'g', sessionTimeoutMs: 6000 }))
      const batch = await dead.poll()
      expect(batch?.records.length).toBe(4)
      const heir = groups.consumer<number, string>(['t'], { group: 'g' })
      expect(await heir.poll({ maxWaitMs: 20_000 })).toBeUndefined()
      isStopped = true
      const again = await heir.poll({ maxWaitMs: 10_000 })
      expect(again?.records.map(({ value }) => value)).toEqual(upTo(4))
      await expect(batch?.commit()).rejects.toMatchObject({ code: 'FENCED_MEMBER', details: { reason: 'session-timeout' } })
      await again?.commit()
      await heir.close()
    }))

  test('a partition that is not there when it is taken up, as of a topic that is renamed away and back, is tried again with each heartbeat', () =>
    withTopics(18, async (db, environment) => {
      await fill(db, 't', 2, 4)
      const { groups } = new Topics(db)
      const assigned: string[] = []
      let tries = 0
      const place = {
        ...{ transport: groups.transport, environment, database: undefined, commitWith: undefined },
        partition: (topic: string, partition: number) => {
          if (partition === 1 && ++tries < 4) throw new VarveError('NOT_FOUND', 'it has another name just now')
          return groups.partition(topic, partition)
        },
      }
      const onAssigned = (places: readonly TopicPartition[]): void => void assigned.push(shown(places))
      const consumer = new GroupConsumer<number>(place, ['t'], resolveGroupConsume({ group: 'g', heartbeatIntervalMs: 1000, onAssigned }))
      const values: number[] = []
      while (values.length < 4)
        values.push(...((await consumer.poll({ maxWaitMs: 10_000 }))?.records ?? []).map(({ value }) => value as number))
      expect(sorted(values)).toEqual(upTo(4))
      expect(assigned).toEqual(['t0', 't1'])
      expect(tries).toBe(4)
      await consumer.close()
    }))

  test('who goes on after an error of onAssigned reads the partitions that came', () =>
    withTopics(20, async db => {
      await fill(db, 't', 1, 3)
      let calls = 0
      const onAssigned = (): void => {
        if (++calls === 1) throw new Error('not yet')
      }
      const consumer = db.topic<number>('t').consume({ group: 'g', onAssigned })
      await expect(consumer.poll({ maxWaitMs: 10_000 })).rejects.toThrow('not yet')
      expect((await consumer.poll({ maxWaitMs: 10_000 }))?.records.map(({ value }) => value)).toEqual([0, 1, 2])
      expect(calls).toBe(1)
      await consumer.close()
    }))

  test('a static member that comes back fences the one before, which ends with the reason', () =>
    withTopics(19, async (db, environment) => {
      await fill(db, 't', 2, 4)
      const first = new Worker(db, 'first', { instanceId: 'one' })
      await sleep(environment, 500)
      const second = new Worker(db, 'second', { instanceId: 'one' })
      await sleep(environment, 10_000)
      await first.done
      expect(first.error).toMatchObject({ code: 'FENCED_MEMBER', details: { reason: 'replaced' } })
      expect(first.log).toEqual(['+ t0 t1', '! t0 t1'])
      expect(db.describeGroup('g')).toMatchObject({ state: 'Stable', generation: 1 })
      expect(shown(second.consumer.assignment)).toBe('t0 t1')
      await second.stop()
    }))
})

describe('what is easily wrong', () => {
  test('a batch from before a rebalance cannot be committed, although its partition has come back', () =>
    withTopics(26, async (db, environment) => {
      await fill(db, 't', 2, 4)
      const consumer = db.topic<number>('t').consume({ group: 'g', assignor: 'range' })
      const old = [await consumer.poll(), await consumer.poll()]
      const other = new Worker(db, 'other', { assignor: 'range' })
      await sleep(environment, 100)
      await consumer.poll({ maxWaitMs: 1000 }) // gives up all, and is given the first again
      expect(shown(consumer.assignment)).toMatch(/^t[01]$/)
      for (const batch of old) await expect(batch?.commit()).rejects.toMatchObject({ code: 'NOT_ASSIGNED' })
      await other.stop()
      await consumer.close()
    }))

  test('alone and without a rebalance, too long a pause is noticed all the same', () =>
    withTopics(27, async (db, environment) => {
      await fill(db, 't', 1, 4)
      const consumer = db.topic<number>('t').consume({ group: 'g', maxPollIntervalMs: 10_000 })
      const batch = await consumer.poll()
      await sleep(environment, 8_000)
      await batch?.commit()
      await sleep(environment, 20_000)
      await expect(batch?.commit()).rejects.toMatchObject({ code: 'FENCED_MEMBER', details: { reason: 'max-poll-interval' } })
      await consumer.close()
    }))

  test('a consumer that waits is not one that pauses, however short the pause may be', () =>
    withTopics(31, async (db, environment) => {
      await fill(db, 't', 1, 1)
      const worker = new Worker(db, 'ada', { maxPollIntervalMs: 300 })
      await sleep(environment, 10_000)
      expect(db.describeGroup('g')).toMatchObject({ state: 'Stable', generation: 1, stats: { fenced: 0 } })
      await worker.stop()
    }))

  test('an offset is appended behind what was sent before it, awaited or not', () =>
    withTopics(28, async db => {
      await fill(db, 't', 1, 1)
      const out = db.topic<number>('out')
      const consumer = db.topic<number>('t').consume({ group: 'g' })
      const batch = await consumer.poll()
      const sent = out.send(1)
      const committed = batch?.commit()
      expect(out.partition(0).endOffset).toBe(1)
      await Promise.all([sent, committed])
      await consumer.close()
    }))

  test('generations grow from process to process, whether the group ended or its process did', async () => {
    let environment = newEnvironment(31)
    let newest = 0
    /** Consumes and commits, and shares with a second consumer for a while. */
    const life = async (end: 'close' | 'crash'): Promise<void> => {
      await environment.drive(async () => {
        const db = await openTopics(environment)
        await fill(db, 't', 2, 4)
        if (newest > 0) expect(db.describeGroup('g').generation).toBeGreaterThanOrEqual(newest)
        const first = db.topic<number>('t').consume({ group: 'g' })
        await (await first.poll())?.commit()
        expect(first.generation).toBeGreaterThan(newest)
        const second = db.topic<number>('t').consume({ group: 'g' })
        await Promise.all([first.poll({ maxWaitMs: 2000 }), second.poll({ maxWaitMs: 2000 })])
        await fill(db, 't', 2, 4)
        await (await second.poll())?.commit()
        expect(second.generation).toBeGreaterThan(newest + 1)
        expect(db.describeGroup('g').generation).toBe(second.generation)
        newest = second.generation
        if (end === 'close') await db.close()
      })
      if (end === 'crash') environment.disk.crash()
      environment = createSimEnvironment({ seed: 31, runners: taskRunners, disk: environment.disk, scheduler: environment.scheduler })
    }
    for (const end of ['close', 'crash', 'close', 'crash', 'close'] as const) await life(end)
    expect(newest).toBeGreaterThanOrEqual(10)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      await db.deleteGroup('g')
      const consumer = db.topic<number>('t').consume({ group: 'g' })
      await consumer.poll()
      expect(consumer.generation).toBe(1)
      await db.close()
    })
  })

  test('a topic that is deleted while its partitions are taken up ends nobody', () =>
    withTopics(35, async db => {
      for (const name of ['a', 'b', 'c']) await db.topic<string>(name, { value: 'string' }).send(`from ${name}`)
      const consumer = db.consumer<string>({
        group: 'g',
        topics: ['a', 'b'],
        onRevoked: async () => {
          if (db.topicNames().includes('c')) await db.deleteTopic('c')
        },
      })
      const seen = [await consumer.poll(), await consumer.poll()].map(batch => batch?.records[0]?.value)
      expect(seen.sort()).toEqual(['from a', 'from b'])
      consumer.subscribe(['b', 'c'])
      expect(await consumer.poll({ maxWaitMs: 2000 })).toBeUndefined()
      expect(db.topicNames()).toEqual(['a', 'b'])
      expect(consumer.assignment).toEqual([{ topic: 'b', partition: 0 }])
      await db.topic<string>('b').send('more')
      expect((await consumer.poll())?.records[0]?.value).toBe('more')
      await consumer.close()
    }))

  test('members come, beat and go although the commit log has no room for what is kept about their group', () =>
    withTopics(
      32,
      async db => {
        await fill(db, 't', 1, 2)
        const consumer = db.topic<number>('t').consume({ group: 'g', maxRecords: 1 })
        await (await consumer.poll())?.commit()
        await consumer.close()
        const other = db.topic<number>('t').consume({ group: 'g', maxRecords: 1 })
        const sent: Promise<unknown>[] = []
        const log = db.topic<string>('filler', { value: 'string' }).partition(0)
        const isFull = (bytes: number): boolean => {
          try {
            sent.push(log.appendRecords([{ value: 'x'.repeat(bytes) }]).acknowledged)
            return false
          } catch (error) {
            return isVarveError(error, 'BUSY')
          }
        }
        for (const bytes of [1000, 10, 0]) while (!isFull(bytes));
        const polled = other.poll()
        await Promise.resolve()
        await Promise.all(sent)
        expect((await polled)?.records[0]?.value).toBe(1)
        await other.commit()
        await other.close()
      },
      { tailBytesMax: 64 * 1024 },
    ))

  test('a database that was poisoned removes a silent member without an error that nobody takes', async () => {
    const environment = newEnvironment(33)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      await fill(db, 't', 1, 2)
      const silent = db.topic<number>('t').consume({ group: 'g', maxPollIntervalMs: 1000, heartbeatIntervalMs: 100 })
      await (await silent.poll())?.commit()
      environment.disk.addFault({ path: 'commit-', code: 'EIO', times: Number.POSITIVE_INFINITY })
      await expect(db.topic<number>('t').send(1)).rejects.toMatchObject({ code: 'POISONED' })
      await sleep(environment, 5000)
      expect(db.describeGroup('g')).toMatchObject({ state: 'Empty', members: [] })
      await db.close().catch(() => undefined)
    })
  })

  test('a group whose process died with members in it ages from the next opening on', async () => {
    let environment = newEnvironment(29)
    const day = 24 * 60 * 60 * 1000
    await environment.drive(async () => {
      const db = await openTopics(environment)
      await fill(db, 't', 1, 2)
      const worker = new Worker(db, 'ada', { heartbeatIntervalMs: day / 4, sessionTimeoutMs: day, maxPollIntervalMs: day })
      await sleep(environment, 8 * day)
      expect(worker.seen).toEqual([0, 1])
      await db.flush()
    })
    environment.disk.crash()
    environment = createSimEnvironment({ seed: 30, runners: taskRunners, disk: environment.disk, scheduler: environment.scheduler })
    await environment.drive(async () => {
      const db = await openTopics(environment)
      expect(db.groupNames()).toEqual(['g'])
      await sleep(environment, 6 * day)
      expect(db.groupNames()).toEqual(['g'])
      await sleep(environment, 2 * day)
      expect(db.groupNames()).toEqual([])
      await db.close()
    })
  })
})

describe('exactly once', () => {
  test('offsets in a transaction with sends and writes: all or nothing', () =>
    withTopics(20, async db => {
      await fill(db, 't', 1, 4)
      const out = db.topic<number>('out')
      const sums = db.store<number, string>('sums')
      const consumer = db.topic<number>('t').consume({ group: 'g', maxRecords: 2 })
      const first = await consumer.poll()
      await expect(
        db.transaction(tx => {
          if (first === undefined) throw new Error('nothing to read')
          tx.store(sums).put('sum', 1)
          tx.offsets(first)
          throw new Error('no')
        }),
      ).rejects.toThrow('no')
      expect(db.groupNames()).toEqual(['g'])
      expect(db.describeGroup('g').partitions[0]?.offset).toBeUndefined()
      await db.transaction(tx => {
        tx.store(sums).put('sum', 1)
        tx.topic(out).send(1)
        if (first !== undefined) tx.offsets(first, { metadata: 'm' })
      })
      expect(db.describeGroup('g').partitions[0]).toMatchObject({ offset: 2, metadata: 'm' })
      await consumer.poll()
      await db.transaction(tx => tx.offsets(consumer))
      expect(db.describeGroup('g')).toMatchObject({ lag: 0, partitions: [{ offset: 4 }] })
      await consumer.close()
    }))

  test('a transaction of a member that was fenced writes nothing', () =>
    withTopics(21, async (db, environment) => {
      await fill(db, 't', 1, 4)
      const sums = db.store<number, string>('sums')
      const consumer = db.topic<number>('t').consume({ group: 'g', instanceId: 'one' })
      const batch = await consumer.poll()
      await expect(
        db.transaction(async tx => {
          if (batch === undefined) throw new Error('nothing to read')
          tx.store(sums).put('sum', 1)
          tx.offsets(batch)
          const other = new Worker(db, 'other', { instanceId: 'one' })
          await sleep(environment, 100)
          expect(other.seen).toEqual(upTo(4))
          await other.stop()
        }),
      ).rejects.toMatchObject({ code: 'FENCED_MEMBER' })
      expect(sums.get('sum')).toBeUndefined()
      await consumer.close()
    }))

  test('a batch without a group has nothing to commit', () =>
    withTopics(22, async db => {
      await fill(db, 't', 1, 1)
      for await (const batch of db.topic('t').consume({ until: 'end' })) {
        await expect(batch.commit()).rejects.toThrow(/group/)
        await expect(db.transaction(tx => tx.offsets(batch))).rejects.toThrow(/group/)
      }
      await expect(db.transaction(tx => tx.offsets(undefined as never))).rejects.toThrow(/offsets/)
    }))
})

test('observers are told on varve:group', () =>
  withTopics(24, async (db, environment) => {
    await fill(db, 't', 1, 1)
    const messages: GroupMessage[] = []
    const listener = (message: unknown): void => void messages.push(message as GroupMessage)
    subscribe('varve:group', listener)
    const worker = new Worker(db, 'ada')
    await sleep(environment, 500)
    await worker.stop()
    unsubscribe('varve:group', listener)
    expect(messages.map(({ type }) => type)).toEqual(['joined', 'rebalance', 'assigned', 'stable', 'revoked', 'left', 'empty'])
    expect(messages[2]).toMatchObject({
      database: db.path,
      group: 'g',
      memberId: expect.stringMatching(/^ada-/),
      places: [{ topic: 't', partition: 0 }],
    })
    expect(db.describeGroup('g').stats).toMatchObject({ rebalances: 1, moved: 0, fenced: 0, commits: 1, commitsRefused: 0 })
  }))

test('the log of offsets is compacted as it grows, and offsets survive that', async () => {
  const environment = newEnvironment(25)
  await environment.drive(async () => {
    let db = await openTopics(environment, { commitLogFileBytes: 256 * 1024, durability: 'none' })
    await fill(db, 't', 1, 1)
    for (let round = 0; round < 25; round++)
      for (let at = 0; at < 1000; at++) await db.resetGroup(`g${at % 10}`, 't', at % 2 === 0 ? 'latest' : 'earliest')
    await sleep(environment, 10_000)
    const log = db.log('topic/__consumer_offsets/0')
    const { positions } = log.read(log.startOffset, { bytesMax: 64 * 1024 * 1024 })
    expect(positions.length).toBeLessThan(20_000)
    await db.close()
    db = await openTopics(environment)
    expect(db.groupNames().length).toBe(10)
    expect(db.describeGroup('g0').partitions[0]?.offset).toBe(1)
    expect(db.describeGroup('g1').partitions[0]?.offset).toBe(0)
    await db.close()
  })
})

test('options that make no sense are named', () =>
  withTopics(23, async db => {
    const topic = db.topic('t')
    const refused: [Partial<GroupConsumeOptions>, RegExp][] = [
      [{ group: '' }, /group/],
      [{ clientId: 1 as never }, /clientId/],
      [{ instanceId: '' }, /instanceId/],
      [{ assignor: 'best' as never }, /assignor/],
      [{ autoOffsetReset: 'middle' as never }, /autoOffsetReset/],
      [{ autoCommit: { intervalMs: -1 } }, /autoCommit/],
      [{ isolation: 'dirty' as never }, /isolation/],
      [{ onLost: 1 as never }, /onLost/],
      [{ signal: 1 as never }, /signal/],
      [{ maxRecords: 0 }, /maxRecords/],
      [{ maxBytes: 1.5 }, /maxBytes/],
      [{ sessionTimeoutMs: 0 }, /sessionTimeoutMs/],
      [{ heartbeatIntervalMs: 50_000 }, /heartbeatIntervalMs/],
      [{ heartbeatIntervalMs: 2000, maxPollIntervalMs: 1000 }, /heartbeatIntervalMs/],
      [{ maxPollIntervalMs: -1 }, /maxPollIntervalMs/],
      [{ nonsense: 1 } as never, /nonsense/],
    ]
    for (const [options, message] of refused) expect(() => topic.consume({ group: 'g', ...options })).toThrow(message)
    expect(() => db.consumer({ group: 'g' })).toThrow(/topics or pattern/)
    expect(() => db.consumer({ group: 'g', topics: [] })).toThrow(/topics/)
    expect(() => db.consumer({ group: 'g', topics: [1 as never] })).toThrow(/topics/)
    expect(() => db.consumer({ group: 'g', pattern: 'x' as never })).toThrow(/pattern/)
    expect(() => db.consumer({ group: 'g', topics: ['__consumer_offsets'] })).toThrow(/internal/)
  }))

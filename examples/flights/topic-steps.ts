/** The main job's part with a topic: its steps in order, each checked against the source. */

import type { Database } from '../../index.ts'
import {
  type Arrival,
  type ArrivalCounts,
  arrivalGroup,
  arrivalTopic,
  checkArrivals,
  countArrivals,
  countStore,
  sendArrivals,
} from './arrivals.ts'
import { arrivalsScript } from './arrivals-process.ts'
import { compare } from './check.ts'
import type { Flights } from './data.ts'
import { grouped, type Steps } from './steps.ts'
import { tallyAndKill } from './tally-process.ts'

export class TopicSteps {
  readonly #steps: Steps
  readonly #flights: Flights
  readonly #rows: number

  constructor(steps: Steps, flights: Flights) {
    this.#steps = steps
    this.#flights = flights
    this.#rows = flights.times.length
  }

  async send(database: Database): Promise<void> {
    await this.#steps.run('send to a topic of 4 partitions', this.#rows, async advance => {
      const before = database.stats().commitLog.frameBytes
      await sendArrivals(database, this.#flights, advance)
      const bytes = database.stats().commitLog.frameBytes - before
      return { records: this.#rows, bytes, finding: `${grouped(this.#rows)} arrivals, those of an airport in order in one partition` }
    })
  }

  /** The database is closed meanwhile: another process owns the folder, and dies. */
  async consumeAndKill(folder: string): Promise<void> {
    const killAt = Math.floor(this.#rows / 3)
    await this.#steps.run('consume as a group of two, kill -9', killAt, async advance => {
      let at = 0
      const told = (counted: number): void => {
        advance(counted - at)
        at = counted
      }
      const counted = await tallyAndKill(folder, killAt, told, arrivalsScript)
      return { records: counted, bytes: 0, finding: `both consumers died when ${grouped(counted)} arrivals were counted` }
    })
  }

  /** Two consumers go on; one of them leaves on the way, and the other takes its partitions over. */
  async resume(database: Database): Promise<void> {
    const topic = arrivalTopic(database)
    await topic.ready()
    const { lag } = database.describeGroup(arrivalGroup)
    await this.#steps.run('resume the group, one consumer leaves', lag, async advance => {
      const first = new AbortController()
      const all = new AbortController()
      let counted = 0
      const told = (count: number): void => {
        counted += count
        advance(count)
        if (counted > lag / 2) first.abort()
        if (counted === lag) all.abort()
      }
      await Promise.all([countArrivals(database, first.signal, told), countArrivals(database, all.signal, told)])
      compare('arrivals counted after the kill', counted, lag)
      const airports = checkArrivals(countStore(database), this.#flights)
      const finding = `${grouped(lag)} arrivals at ${airports} airports; none is lost, none is counted twice`
      return { records: lag, bytes: 0, finding }
    })
  }

  /** The second half again, into a store: the newest arrival of each airport. */
  async replay(database: Database): Promise<void> {
    const half = this.#flights.times[this.#rows >> 1] as number
    const store = database.store<Arrival, string>('newest-arrivals', { keys: 'string' })
    await this.#steps.run('replay from a time into a store', this.#rows, async advance => {
      let at = 0
      const { read, bytes } = await arrivalTopic(database).replay({
        to: store as never,
        from: { time: half },
        onProgress: ({ read: seen }) => {
          advance(seen - at)
          at = seen
        },
      })
      const expected = new Map<string, number>()
      for (let row = 0; row < this.#rows; row++) {
        if ((this.#flights.times[row] as number) >= half)
          expected.set(this.#flights.destinations[row] as string, this.#flights.delays[row] as number)
      }
      for (const [airport, delay] of expected) compare(`newest arrival at ${airport}`, store.get(airport)?.delay, delay)
      compare('airports', store.count(), expected.size)
      const finding = `since ${new Date(half).toISOString().slice(0, 10)}; the newest arrival of each of ${expected.size} airports`
      return { records: read, bytes, finding }
    })
  }

  async compact(database: Database): Promise<void> {
    const topic = arrivalTopic(database)
    await this.#steps.run('compact the topic by key', 4, async advance => {
      await database.seal()
      const before = database.stats().segments.liveBytes
      for (let partition = 0; partition < 4; partition++) {
        await database.compactLog(topic.partition(partition).name)
        advance(1)
      }
      const freed = before - database.stats().segments.liveBytes
      let left = 0
      const newest = new Map<string, number>()
      for await (const { records } of topic.consume({ until: 'end' })) {
        left += records.length
        for (const { key, value } of records) newest.set(key as string, (value as Arrival).delay)
      }
      const counts: ReadonlyMap<string, ArrivalCounts> = new Map(countStore(database).entries())
      compare('airports with a newest arrival', newest.size, counts.size)
      const finding = `${grouped(left)} of ${grouped(this.#rows)} records are left, ${grouped(freed)} bytes are free`
      return { records: this.#rows, bytes: freed, finding }
    })
  }
}

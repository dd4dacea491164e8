/** The main job's part with stores: its steps in order, each checked against the source. */

import type { Database } from '../../index.ts'
import { cancelFlights } from './cancel.ts'
import { compare } from './check.ts'
import { type Flights, findFiles, readParquet } from './data.ts'
import { checkAsOf, checkByIndex, checkByKey, checkByRange } from './queries.ts'
import { grouped, type Steps } from './steps.ts'
import { firstFlights, flightStore, loadStore, StoreModel } from './store.ts'
import { checkTally, tally, tallyPosition } from './tally.ts'
import { tallyAndKill } from './tally-process.ts'

/** Flights that go into the store: the first of the Parquet file. All of them with their indexes would take minutes. */
const storeFlights = 300_000
const lookups = 100_000
const cancellations = 2000

export async function loadedFlights(): Promise<Flights> {
  return await firstFlights(readParquet(findFiles().parquet.path), storeFlights)
}

export class StoreSteps {
  readonly #steps: Steps
  readonly #model: StoreModel
  /** Commit sequence before the cancellations. */
  #before = 0

  constructor(steps: Steps, flights: Flights) {
    this.#steps = steps
    this.#model = new StoreModel(flights)
  }

  async load(database: Database): Promise<void> {
    const { rows } = this.#model
    await this.#steps.run('put into a store with two indexes', rows, async advance => {
      const before = database.stats().commitLog.frameBytes
      await loadStore(database, this.#model, advance)
      const indexes = flightStore(database).indexNames().join(' and ')
      const finding = `the first ${grouped(rows)} flights, with ${grouped(rows * 2)} entries of the indexes ${indexes}`
      return { records: rows, bytes: database.stats().commitLog.frameBytes - before, finding }
    })
  }

  async query(database: Database): Promise<void> {
    await this.#steps.run('get by key', lookups, async advance => {
      checkByKey(database, this.#model, lookups, advance)
      return { records: lookups, bytes: 0, finding: `${grouped(lookups)} flights in no order equal the source` }
    })
    await this.#steps.run('walk over ranges', this.#model.rows, async advance => {
      const totals = [...(await checkByRange(database, this.#model, advance))].sort(([, a], [, b]) => b.flights - a.flights)
      const [airport, { flights, late }] = totals[0] as (typeof totals)[0]
      const finding = `of ${totals.length} airports ${airport} has the most departures, ${grouped(flights)}, ${(late / flights).toFixed(1)} minutes late on average`
      return { records: this.#model.rows, bytes: 0, finding }
    })
    await this.#steps.run('query by index', this.#model.rows, async advance => {
      const { entries, late } = checkByIndex(database, this.#model, advance)
      return {
        records: entries,
        bytes: 0,
        finding: `arrivals of each airport are right; ${grouped(late)} flights were three hours late or more`,
      }
    })
  }

  async cancel(database: Database): Promise<void> {
    const now = database.snapshot()
    this.#before = now.sequence
    now.close()
    await this.#steps.run('cancel by transactions', cancellations, async advance => {
      const reruns = await cancelFlights(database, this.#model, cancellations, advance)
      const finding = `${grouped(cancellations)} flights, 16 at once; ${grouped(reruns)} bodies met another and ran again, all totals are right`
      return { records: cancellations, bytes: 0, finding }
    })
  }

  /** The database is closed meanwhile: another process owns the folder, and dies. */
  async followAndKill(folder: string): Promise<void> {
    const killAt = Math.floor(this.#model.rows / 3)
    await this.#steps.run('follow the change feed, kill -9', killAt, async advance => {
      let at = 0
      const last = await tallyAndKill(folder, killAt, position => {
        advance(position - at)
        at = position
      })
      return { records: last, bytes: 0, finding: `the process had told of position ${grouped(last)} when it was killed` }
    })
  }

  async resume(database: Database): Promise<void> {
    const store = flightStore(database)
    const feed = store.changes({ from: 'end' })
    const end = feed.position
    await feed.return()
    const start = tallyPosition(database)
    await this.#steps.run('resume the change feed', end - start, async advance => {
      let at = start
      const seen = await tally(
        database,
        position => {
          advance(position - at)
          at = position
        },
        end,
      )
      checkTally(database, this.#model)
      const finding = `from position ${grouped(start)} to ${grouped(end)}; no change is lost, none is counted twice`
      return { records: seen, bytes: 0, finding }
    })
  }

  async lookBack(database: Database): Promise<void> {
    const { rows, count } = this.#model
    await this.#steps.run('look back with asOf', rows, async advance => {
      const store = flightStore(database)
      compare('flights now', store.count(), count)
      const view = store.asOf(this.#before)
      checkAsOf(view, this.#model, this.#model.totals('origins').keys(), advance)
      view.close()
      const finding = `${grouped(rows)} flights before the cancellations, ${grouped(count)} now`
      return { records: rows, bytes: 0, finding }
    })
  }
}

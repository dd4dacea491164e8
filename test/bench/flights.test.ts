/**
 * Goal: the example that `npm start` runs checks what it claims. Real rows go through its loader and its checks; a wrong expectation of any
 * kind must be found.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cancelFlights } from '../../examples/flights/cancel.ts'
import { checkByOffset, checkByTime } from '../../examples/flights/check.ts'
import { countParquetRows, type Flights, findFiles, readJson, readParquet } from '../../examples/flights/data.ts'
import { Loader, logNames } from '../../examples/flights/load.ts'
import { LogModel, moments } from '../../examples/flights/model.ts'
import { checkAsOf, checkByIndex, checkByKey, checkByRange } from '../../examples/flights/queries.ts'
import { firstFlights, flightStore, loadStore, StoreModel } from '../../examples/flights/store.ts'
import { checkTally, tally, tallyPosition } from '../../examples/flights/tally.ts'
import { tallyAndKill } from '../../examples/flights/tally-process.ts'
import { type Database, open } from '../../index.ts'

const { parquet, json } = findFiles()
const sample = (name: string): Flights => readJson(json.find(({ path }) => path.endsWith(name))?.path as string)

function first(flights: Flights, i = 0): (string | number | undefined)[] {
  return [
    new Date(flights.times[i] as number).toISOString(),
    flights.delays[i],
    flights.miles[i],
    flights.origins[i],
    flights.destinations[i],
  ]
}

describe('reading the source', () => {
  test('Parquet comes in row groups, in order of departure', async () => {
    expect(await countParquetRows(parquet.path)).toBe(3_000_000)
    const chunks = readParquet(parquet.path)
    const { value } = await chunks.next()
    await chunks.return(undefined)
    const flights = value as Flights
    expect(first(flights)).toEqual(['2001-01-01T00:01:00.000Z', 33, 2176, 'LAS', 'PHL'])
    expect(flights.times.length).toBeGreaterThan(100_000)
    expect(flights.times.length).toBeLessThan(1_000_000)
    expect(flights.times.every((time, i) => i === 0 || time >= (flights.times[i - 1] as number))).toBe(true)
  })

  test('JSON of both kinds', () => {
    expect(json).toHaveLength(5)
    expect(first(sample('flights-2k.json'))).toEqual(['2001-01-01T06:55:00.000Z', -19, 1797, 'LAX', 'BNA'])
    const hours = sample('flights-200k.json')
    expect(first(hours)).toEqual(['2001-01-01T00:00:00.000Z', 0, 1452, '', ''])
    expect(Math.max(...hours.times.slice(-1000))).toBeLessThan(Date.UTC(2001, 0, 2))
  })
})

describe('loading and checking', () => {
  let folder: string
  let database: Database

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'varve-flights-'))
    database = await open(join(folder, 'database'))
    await database.define(logNames.map(name => ({ name, kind: 'topic' })))
  })

  afterEach(async () => {
    await database.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('what was loaded is found, in segments and in the tail, and nothing else', async () => {
    const flights = sample('flights-5k.json')
    const loader = new Loader(database)
    await loader.append(flights)
    await loader.append(sample('flights-2k.json')) // earlier than the last of the first: times go back
    await loader.finish()
    await database.seal()
    const more = sample('flights-10k.json')
    await loader.append(more)
    await loader.finish()
    expect(loader.models.reduce((sum, model) => sum + model.count, 0)).toBe(17_000)
    for (const [i, name] of logNames.entries()) {
      const log = database.log(name)
      const model = loader.models[i] as LogModel
      expect(log.endOffset).toBe(model.count)
      let seen = 0
      checkByOffset(log, model, records => (seen += records))
      expect(seen).toBe(model.count)
      expect(checkByTime(log, model)).toBe(moments.length)
    }
  })

  test('a record too many, another content, another time: all are errors', async () => {
    const loader = new Loader(database)
    await loader.append(sample('flights-2k.json'))
    await loader.finish()
    const log = database.log(logNames[0] as string)
    const model = loader.models[0] as LogModel
    const flight = { time: 0, origin: 'LAX', destination: 'BNA', delay: 0, miles: 0 }
    expect(() => checkByOffset(log, Object.assign(new LogModel(), { ...model, checksum: model.checksum ^ 1 }), () => undefined)).toThrow(
      /checksum/,
    )
    expect(() => checkByTime(log, Object.assign(new LogModel(), { firstAt: moments.map(() => 0) }))).toThrow(/first offset at/)
    model.add(flight)
    expect(() => checkByOffset(log, model, () => undefined)).toThrow(/records/)
  })
})

describe('the stores', () => {
  const nobody = (): void => undefined
  /** As `examples.test.ts`, the process runs from what was built. */
  const script = new URL('../../dist/examples/flights/tally-process.js', import.meta.url)
  let folder: string
  let database: Database

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'varve-flights-'))
    database = await open(folder)
  })

  afterEach(async () => {
    await database.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function load(name: string): Promise<StoreModel> {
    const model = new StoreModel(sample(name))
    await loadStore(database, model, nobody)
    return model
  }

  test('a slice of the source has as many flights as were asked for, over chunks', async () => {
    async function* chunks(): AsyncGenerator<Flights> {
      for (const name of ['flights-2k.json', 'flights-5k.json', 'flights-10k.json']) yield sample(name)
    }
    const flights = await firstFlights(chunks(), 3000)
    expect(flights.times).toHaveLength(3000)
    expect(first(flights, 2000)).toEqual(first(sample('flights-5k.json')))
    expect(first(flights, 2999)).toEqual(first(sample('flights-5k.json'), 999))
    expect((await firstFlights(chunks(), 1_000_000)).origins).toHaveLength(17_000)
  })

  test('key, range and index give what was put; cancelled flights are gone, and there as of before', async () => {
    const model = await load('flights-5k.json')
    const advanced = { key: 0, range: 0, index: 0, asOf: 0 }
    checkByKey(database, model, 5000, records => (advanced.key += records))
    const totals = await checkByRange(database, model, records => (advanced.range += records))
    const { entries, late } = checkByIndex(database, model, records => (advanced.index += records))
    expect(entries).toBe(5000 + late)
    expect(late).toBeGreaterThan(0)

    const now = database.snapshot()
    now.close()
    expect(await cancelFlights(database, model, 200, nobody)).toBeGreaterThan(0)
    expect(model.count).toBe(4800)
    checkByKey(database, model, 5000, nobody)
    checkByIndex(database, model, nobody)
    const view = flightStore(database).asOf(now.sequence)
    checkAsOf(view, model, totals.keys(), records => (advanced.asOf += records))
    view.close()
    expect(advanced).toEqual({ key: 5000, range: 5000, index: 5000, asOf: 5000 })
  })

  test('a wrong value, a missing flight, one too many: all are errors', async () => {
    const model = await load('flights-2k.json')
    const store = flightStore(database)
    const value = model.value(7)
    await store.put(model.key(7), { ...value, miles: value.miles + 1 })
    expect(() => checkByKey(database, model, 2000, nobody)).toThrow(/flight of row 7/)
    await store.put(model.key(7), { ...value, delay: value.delay + 1 })
    await expect(checkByRange(database, model, nobody)).rejects.toThrow(/minutes of/)
    await store.put(model.key(7), { ...value, to: 'XYZ' })
    expect(() => checkByIndex(database, model, nobody)).toThrow(/arrivals at/)
    await store.put(model.key(7), { ...value, delay: 999 })
    expect(() => checkByIndex(database, model, nobody)).toThrow(/flight of row 7/)
    await store.del(model.key(7))
    await expect(checkByRange(database, model, nobody)).rejects.toThrow(/flights of/)
    model.cancelled.add(7)
    await checkByRange(database, model, nobody)
    const view = store.asOf(database.stats().sequence)
    expect(() => checkAsOf(view, model, model.totals('origins').keys(), nobody)).toThrow(/flights then/)
    view.close()
  })

  test('the feed goes on where the killed process was: each change is counted once', async () => {
    const model = await load('flights-5k.json')
    await checkByRange(database, model, nobody)
    await database.close()

    const told: number[] = []
    const last = await tallyAndKill(folder, 1000, position => told.push(position), script)
    expect(last).toBeGreaterThanOrEqual(1000)
    expect(told.at(-1)).toBe(last)

    database = await open(folder)
    await cancelFlights(database, model, 50, nobody) // there is more to be read, however far it came
    const { position: end } = flightStore(database).changes({ from: 'end' })
    const resumed = tallyPosition(database)
    expect(resumed).toBeGreaterThanOrEqual(last) // what it had told was durable
    expect(resumed).toBeLessThan(end)
    expect(() => checkTally(database, model)).toThrow(/(puts|deletes) at/)
    expect(await tally(database, nobody, end)).toBe(end - resumed)
    checkTally(database, model)
    expect(await tally(database, nobody, end)).toBe(0)

    model.cancelled.delete(0) // counting twice or not at all would be found
    expect(() => checkTally(database, model)).toThrow(/deletes at/)
  })

  test('a consumer that ends by itself is an error', async () => {
    await expect(tallyAndKill(folder, 1, nobody, script)).rejects.toThrow(/ended by itself.*LOCKED/s)
  })
})

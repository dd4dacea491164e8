/**
 * Goal: the example that `npm start` runs checks what it claims. Real rows go through its loader and its checks; a wrong expectation of any
 * kind must be found.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkByOffset, checkByTime } from '../../examples/flights/check.ts'
import { countParquetRows, type Flights, findFiles, readJson, readParquet } from '../../examples/flights/data.ts'
import { Loader, logNames } from '../../examples/flights/load.ts'
import { LogModel, moments } from '../../examples/flights/model.ts'
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

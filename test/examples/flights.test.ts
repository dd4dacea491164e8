/** Goal: the flights come out of the files of `vega-datasets` as they are there. */
import { expect, test } from 'vitest'
import { countParquetRows, type Flights, findFiles, readJson, readParquet } from '../../examples/flights/data.ts'

const { parquet, json } = findFiles()
const sample = (name: string): Flights => readJson(json.find(({ path }) => path.endsWith(name))?.path as string)

function first(flights: Flights): (string | number | undefined)[] {
  return [
    new Date(flights.times[0] as number).toISOString(),
    flights.delays[0],
    flights.miles[0],
    flights.origins[0],
    flights.destinations[0],
  ]
}

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

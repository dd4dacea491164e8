/** The three million real flights of `vega-datasets` (see `examples/flights/data.ts`), or its sample of 2000: in a topic of four partitions, plain and with columns, as CSV, and what DuckDB makes of that. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { open } from 'varve'
import { type Flights, findFiles, readJson, readParquet } from '../../../examples/flights/data.ts'
import type { Forms } from '../inputs.ts'
import { duckdbFile, duckdbParquet } from '../products/duckdb.ts'

export interface Flight {
  /** Departure, milliseconds since 1970. */
  readonly at: number
  readonly origin: string
  readonly destination: string
  readonly delay: number
  readonly distance: number
}

export const sampleRows = 2000
const batchRecords = 2000

const columns: readonly (keyof Flight)[] = ['at', 'origin', 'destination', 'delay', 'distance']

async function makeTopic(path: string, rows: number, declared?: readonly string[]): Promise<void> {
  const db = await open(path)
  const topic = db.topic<Flight>('flights', { partitions: 4, ...(declared !== undefined && { columns: declared }) })
  await topic.ready()
  for await (const flights of flightsOf(rows)) {
    for (let from = 0; from < flights.times.length; from += batchRecords) {
      const length = Math.min(batchRecords, flights.times.length - from)
      const batch = Array.from({ length }, (_, i) => flightOf(flights, from + i))
      await topic.sendBatch(batch.map(value => ({ value, timestamp: value.at })))
    }
  }
  await db.seal()
  await db.close()
}

export const flightForms: Forms = {
  topic: { make: (path, parameters) => makeTopic(path, parameters.rows as number) },
  columns: { make: (path, parameters) => makeTopic(path, parameters.rows as number, columns) },
  csv: {
    async make(path, parameters) {
      const file = openSync(path, 'w')
      try {
        writeSync(file, 'at,origin,destination,delay,distance\n')
        for await (const flights of flightsOf(parameters.rows as number)) {
          const lines = flights.times.map((_, i) => {
            const { at, origin, destination, delay, distance } = flightOf(flights, i)
            return `${at},${origin},${destination},${delay},${distance}\n`
          })
          writeSync(file, lines.join(''))
        }
      } finally {
        closeSync(file)
      }
    },
  },
  parquet: { from: ['csv'], make: (path, _, pathOf) => duckdbParquet(path, pathOf('csv')) },
  duckdb: { from: ['csv'], make: (path, _, pathOf) => duckdbFile(path, { flights: pathOf('csv') }) },
}

async function* flightsOf(rows: number): AsyncGenerator<Flights> {
  const { parquet, json } = findFiles()
  const sample = json.find(({ path }) => path.endsWith('flights-2k.json'))
  if (rows === sampleRows && sample !== undefined) yield readJson(sample.path)
  else yield* readParquet(parquet.path)
}

function flightOf({ times, origins, destinations, delays, miles }: Flights, i: number): Flight {
  const at = times[i] as number
  return {
    at,
    origin: origins[i] as string,
    destination: destinations[i] as string,
    delay: delays[i] as number,
    distance: miles[i] as number,
  }
}

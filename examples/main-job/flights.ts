/** Three million real flights as input of the main job. */

import { countParquetRows, type Flights, findFiles, readParquet } from '../flights/data.ts'
import type { DataRow, JobInput, KeyedRow } from './input.ts'

interface Flight extends DataRow {
  readonly origin: string
  readonly destination: string
  /** Minutes late on arrival; negative is early. */
  readonly delay: number
  /** Miles. */
  readonly distance: number
}

const rowsPerBatch = 1000
/** Flights at least so late go into the store, minutes. */
const late = 60

export function flightsInput(): JobInput {
  const { path, bytes } = findFiles().parquet
  return {
    what: 'flights',
    file: path,
    bytes,
    columns: { key: 'origin', by: ['destination'], value: 'delay', time: 'date' },
    keeps: row => (row as Flight).delay >= late,
    kept: 'flights an hour late or more',
    read: added => readFlights(path, bytes, added),
  }
}

async function* readFlights(path: string, bytes: number, added: (bytes: number) => void): AsyncGenerator<KeyedRow[]> {
  const total = await countParquetRows(path)
  let line = 0
  for await (const flights of readParquet(path)) {
    for (let from = 0; from < flights.times.length; from += rowsPerBatch) {
      const count = Math.min(rowsPerBatch, flights.times.length - from)
      added((bytes * count) / total)
      yield Array.from({ length: count }, (_, i) => flightAt(flights, from + i, ++line))
    }
  }
}

function flightAt({ times, origins, destinations, delays, miles }: Flights, i: number, line: number): KeyedRow {
  const row: Flight = {
    origin: origins[i] as string,
    destination: destinations[i] as string,
    delay: delays[i] as number,
    distance: miles[i] as number,
  }
  return { key: row.origin, line, row, time: times[i] as number }
}

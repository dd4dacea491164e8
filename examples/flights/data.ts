/**
 * Three million real flights of the United States in the first half of 2001, and samples of them, from the npm package `vega-datasets`.
 *
 * Files come in columns and leave here in columns, one row group (about 270,000 flights) at a time, so that memory stays bounded however
 * long a file is. Rows are in order of departure. Two kinds of JSON exist: rows with a date and airports, and rows with only an hour of the
 * day.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { decompress } from 'fzstd'
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from 'hyparquet'

/** Some flights of one file; all columns have the same length. */
export interface Flights {
  /** Departure in milliseconds since 1970, local time taken as UTC. */
  readonly times: readonly number[]
  /** Minutes late on arrival; negative is early. */
  readonly delays: readonly number[]
  readonly miles: readonly number[]
  /** Airport code; '' where the file has none. */
  readonly origins: readonly string[]
  readonly destinations: readonly string[]
}

export interface FlightFile {
  readonly path: string
  readonly bytes: number
}

/** The midnight that rows with an hour only are counted from. */
const dayOfHours = Date.UTC(2001, 0, 1)

/** The Parquet file, and the JSON files sorted by name. */
export function findFiles(): { readonly parquet: FlightFile; readonly json: readonly FlightFile[] } {
  const folder = join(createRequire(import.meta.url).resolve('vega-datasets'), '../../data')
  const file = (name: string): FlightFile => ({ path: join(folder, name), bytes: statSync(join(folder, name)).size })
  const json = readdirSync(folder).filter(name => /^flights-\d+k\.json$/.test(name))
  return { parquet: file('flights-3m.parquet'), json: json.sort().map(file) }
}

/** How many rows a Parquet file has, from its footer alone. */
export async function countParquetRows(path: string): Promise<number> {
  return Number((await parquetMetadataAsync(await asyncBufferFromFile(path))).num_rows)
}

/** One row group after the other. */
export async function* readParquet(path: string): AsyncGenerator<Flights> {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  let rowStart = 0
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(num_rows)
    const columns = new Map<string, unknown[]>()
    await parquetRead({
      file,
      metadata,
      rowStart,
      rowEnd,
      compressors: { ZSTD: (input, outputBytes) => decompress(input, new Uint8Array(outputBytes)) },
      parsers: { timestampFromMicroseconds: (micros: bigint) => Number(micros / 1000n) },
      onChunk: ({ columnName, columnData }) => {
        const before = columns.get(columnName)
        columns.set(columnName, before === undefined ? Array.from(columnData) : before.concat(Array.from(columnData)))
      },
    })
    yield toFlights(columns, rowEnd - rowStart)
    rowStart = rowEnd
  }
}

function toFlights(columns: ReadonlyMap<string, unknown[]>, count: number): Flights {
  const column = <T>(name: string): T[] => {
    const values = columns.get(name)
    if (values?.length !== count) throw new Error(`column '${name}' has ${values?.length} values, expected ${count}`)
    return values as T[]
  }
  return {
    times: column<number>('date'),
    delays: column<bigint>('delay').map(Number),
    miles: column<bigint>('distance').map(Number),
    origins: column<string>('origin'),
    destinations: column<string>('destination'),
  }
}

interface JsonRow {
  /** `2001/01/31 23:59` */
  readonly date?: string
  /** Hours since midnight, with fractions. */
  readonly time?: number
  readonly delay: number
  readonly distance: number
  readonly origin?: string
  readonly destination?: string
}

export function readJson(path: string): Flights {
  const rows = JSON.parse(readFileSync(path, 'utf8')) as JsonRow[]
  return {
    times: rows.map(({ date, time }) =>
      date === undefined ? dayOfHours + Math.round((time ?? 0) * 3_600_000) : Date.parse(`${date.replaceAll('/', '-').replace(' ', 'T')}Z`),
    ),
    delays: rows.map(row => row.delay),
    miles: rows.map(row => row.distance),
    origins: rows.map(row => row.origin ?? ''),
    destinations: rows.map(row => row.destination ?? ''),
  }
}

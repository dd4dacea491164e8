/** DuckDB in this process, with so many threads: over CSV and Parquet files, or over tables of its own in a file. Also makes the last two from CSV. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { InputForm } from '../inputs.ts'
import type { Answer, Contestant, Place, Started } from '../workload.ts'

/** What a query reads. */
export type DuckdbForm = 'csv' | 'parquet' | 'duckdb'

const reads: { readonly [form in DuckdbForm]: string } = { csv: 'CSV', parquet: 'Parquet, snappy', duckdb: 'its own table' }

/** A query over one table of the input, which is called `from` in it. */
export interface DuckdbJob {
  readonly form: DuckdbForm
  readonly threads: number
  /** Name of the table in DuckDB's file. */
  readonly table: string
  /** `from` is what stands for the table, `path` gives other forms, `own` a folder to write to. */
  readonly sql: (from: string, place: Place) => string
  readonly forms?: readonly InputForm[]
  readonly answer: (rows: readonly Readonly<Record<string, unknown>>[], place: Place) => Answer | Promise<Answer>
  /** Bytes; default: DuckDB's. */
  readonly memoryBytesMax?: number
}

export function duckdb(job: DuckdbJob): Contestant {
  const { form, threads } = job
  return {
    name: `duckdb ${form === 'duckdb' ? 'table' : form}${threads === 1 ? ' 1 thread' : ''}`,
    product: 'duckdb',
    threads,
    reads: reads[form],
    forms: [form, ...(job.forms ?? [])],
    start: place => startDuckdb(place, job),
  }
}

async function startDuckdb(place: Place, { form, threads, table, sql, answer, memoryBytesMax }: DuckdbJob): Promise<Started> {
  const path = place.path(form)
  const instance = await DuckDBInstance.create(form === 'duckdb' ? path : ':memory:', {
    threads: String(threads),
    ...(form === 'duckdb' && { access_mode: 'READ_ONLY' }),
    ...(memoryBytesMax !== undefined && { memory_limit: `${Math.floor(memoryBytesMax / 2 ** 20)}MiB`, temp_directory: place.own }),
  })
  const connection = await instance.connect()
  const from = { csv: `read_csv(${quoted(path)})`, parquet: `read_parquet(${quoted(path)})`, duckdb: table }[form]
  const query = sql(from, place)
  return {
    run: () => connection.runAndReadAll(query),
    answer: result => answer((result as Awaited<ReturnType<DuckDBConnection['runAndReadAll']>>).getRowObjectsJS() as never, place),
    close: () => {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

/** A path as a SQL literal. */
export function quoted(path: string): string {
  return `'${path.replaceAll("'", "''")}'`
}

export function duckdbParquet(path: string, csv: string): Promise<void> {
  return inDuckdb(':memory:', connection =>
    connection.run(`copy (from read_csv(${quoted(csv)})) to ${quoted(path)} (format parquet, compression snappy)`),
  )
}

/** Tables by name, from CSV files. */
export function duckdbFile(path: string, tables: { readonly [name: string]: string }): Promise<void> {
  return inDuckdb(path, async connection => {
    for (const [name, csv] of Object.entries(tables)) await connection.run(`create table ${name} as from read_csv(${quoted(csv)})`)
    await connection.run('checkpoint')
  })
}

async function inDuckdb(path: string, work: (connection: DuckDBConnection) => Promise<unknown>): Promise<void> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  try {
    await work(connection)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

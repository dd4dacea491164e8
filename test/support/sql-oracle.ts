/** Tables of the same rows for flows and for DuckDB, and rows of both made comparable. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { compareValues } from '../../compute/vector/value-order.ts'
import type { Random } from '../unit/engine/codec/random.ts'

/** A row of every type that both sides have; `id` is its number. */
export interface OracleRow {
  readonly id: number
  /** Text: ties, the empty one, beyond ASCII and the first plane. */
  readonly k: string | null
  /** Few whole numbers. */
  readonly g: number | null
  /** Any numbers: infinities, NaN, -0. */
  readonly n: number | null
  /** Eighths, whose sums are exact. */
  readonly f: number | null
  /** Whole numbers beyond doubles. */
  readonly i: bigint | null
  readonly b: boolean | null
}

const texts = ['', 'a', 'b', 'ab', 'B', 'Zürich', 'é', '\u{ff5e}', '😀', '日本', 'a longer text than others', "it's", 'x'.repeat(70)]
const numbers = [0, -0, 1, -1, 0.5, 1e300, -1e-300, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53, 1 / 3]
const bigints = [0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 62n, -(2n ** 62n) - 1n, 10n ** 24n, 7n]

export function oracleRows(random: Random, size: number): OracleRow[] {
  const orNull = <T>(value: T): T | null => (random.below(6) === 0 ? null : value)
  return Array.from({ length: size }, (_, id) => ({
    id,
    k: orNull(random.pick(texts)),
    g: orNull(random.below(4)),
    n: orNull(random.pick(numbers)),
    f: orNull(random.below(160) / 8 - 5),
    i: orNull(random.pick(bigints)),
    b: orNull(random.below(2) === 0),
  }))
}

/** DuckDB in memory, in one thread. */
export class SqlOracle implements AsyncDisposable {
  readonly #instance: DuckDBInstance
  readonly #connection: DuckDBConnection

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#instance = instance
    this.#connection = connection
  }

  static async open(): Promise<SqlOracle> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
    return new SqlOracle(instance, await instance.connect())
  }

  /** A table of these rows, in place of one of the same name. */
  async table(name: string, rows: readonly OracleRow[]): Promise<void> {
    await this.#connection.run(
      `create or replace table ${name} (id integer, k varchar, g double, n double, f double, i hugeint, b boolean)`,
    )
    const appender = await this.#connection.createAppender(name)
    for (const row of rows) {
      appender.appendInteger(row.id)
      if (row.k === null) appender.appendNull()
      else appender.appendVarchar(row.k)
      for (const value of [row.g, row.n, row.f]) {
        if (value === null) appender.appendNull()
        else appender.appendDouble(value)
      }
      if (row.i === null) appender.appendNull()
      else appender.appendHugeInt(row.i)
      if (row.b === null) appender.appendNull()
      else appender.appendBoolean(row.b)
      appender.endRow()
    }
    appender.closeSync()
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    const reader = await this.#connection.runAndReadAll(sql)
    return reader.getRowObjectsJS() as Record<string, unknown>[]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.closeSync()
    this.#instance.closeSync()
  }
}

/** Numbers as one kind, -0 as 0, doubles to seven digits, nothing as null. What is left of doubles that cancel each other is 0: one side compensates for rounding, the other does not. */
export function comparable(value: unknown): unknown {
  if (value === undefined || value === null) return null
  if (typeof value === 'bigint') return BigInt(Number(value)) === value ? comparable(Number(value)) : value
  if (typeof value === 'number' && Math.abs(value) < 1e-12) return 0
  if (typeof value === 'number') return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? value + 0 : Number(value.toPrecision(7))
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, comparable(field)]))
  }
  return value
}

/** Rows as `comparable`, in an order that does not depend on theirs. */
export function unordered(rows: readonly unknown[]): unknown[] {
  return rows.map(comparable).sort(compareValues)
}

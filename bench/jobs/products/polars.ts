/** Polars, lazily over files, with the threads that it takes itself (all). An optional package of `bench/peers`, described here as far as jobs use it. */
import { loadPeer } from '../../peer-packages.ts'
import type { InputForm } from '../inputs.ts'
import type { Answer, Contestant, Place } from '../workload.ts'

export interface PolarsExpression {
  alias(name: string): PolarsExpression
  cast(type: unknown): PolarsExpression
  mul(by: number): PolarsExpression
  count(): PolarsExpression
  sum(): PolarsExpression
  mean(): PolarsExpression
  max(): PolarsExpression
  explode(): PolarsExpression
  gtEq(value: unknown): PolarsExpression
  lt(value: unknown): PolarsExpression
  and(other: PolarsExpression): PolarsExpression
  readonly str: { split(by: string): PolarsExpression }
  readonly date: { month(): PolarsExpression }
}

export interface LazyFrame {
  select(...columns: readonly PolarsExpression[]): LazyFrame
  withColumn(column: PolarsExpression): LazyFrame
  filter(predicate: PolarsExpression): LazyFrame
  groupBy(names: string | readonly string[]): { agg(...aggregates: readonly PolarsExpression[]): LazyFrame }
  join(other: LazyFrame, options: { readonly on: string; readonly how: 'inner' }): LazyFrame
  /** Ascending. (A direction for each field is refused by this version's binding.) */
  sort(by: readonly PolarsExpression[]): LazyFrame
  limit(count: number): LazyFrame
  collect(): Promise<{ toRecords(): Readonly<Record<string, unknown>>[] }>
}

export interface Polars {
  col(name: string): PolarsExpression
  Datetime(unit: 'ms'): unknown
  readonly String: unknown
  scanCSV(
    path: string,
    options?: { hasHeader?: boolean; sep?: string; quoteChar?: string; schema?: Readonly<Record<string, unknown>> },
  ): LazyFrame
  scanParquet(path: string): LazyFrame
}

export const polarsPackage = 'nodejs-polars'

export interface PolarsJob {
  readonly form: 'csv' | 'parquet' | 'text'
  readonly frame: (polars: Polars, path: string, place: Place) => LazyFrame
  readonly answer: (rows: readonly Readonly<Record<string, unknown>>[]) => Answer
  readonly forms?: readonly InputForm[]
}

const reads: { readonly [form in PolarsJob['form']]: string } = { csv: 'CSV', parquet: 'Parquet, snappy', text: 'text file' }

export function polars({ form, frame, answer, forms = [] }: PolarsJob): Contestant {
  return {
    name: form === 'text' ? 'polars' : `polars ${form}`,
    product: 'polars',
    threads: 2,
    reads: reads[form],
    forms: [form, ...forms],
    async start(place) {
      const { default: library } = loadPeer<{ readonly default: Polars }>(polarsPackage)
      return {
        run: async () => (await frame(library, place.path(form), place).collect()).toRecords(),
        answer: result => answer(result as Readonly<Record<string, unknown>>[]),
        close: () => undefined,
      }
    },
  }
}

/** A file as lazy frame. */
export function scan(library: Polars, form: 'csv' | 'parquet', path: string): LazyFrame {
  return form === 'csv' ? library.scanCSV(path) : library.scanParquet(path)
}

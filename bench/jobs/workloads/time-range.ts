/** How many events of a hundredth of the time there are, and what they amount to: all but that part need not be read. */
import { count, flow, record, sum } from 'varve/compute'
import { type Event, firstAt, msBetween } from '../inputs/events.ts'
import { duckdb } from '../products/duckdb.ts'
import { polars, scan } from '../products/polars.ts'
import { varveOverTopics } from '../products/varve.ts'
import type { Answer, Contestant, Place } from '../workload.ts'

interface RangeRow {
  readonly n: number
  readonly amount: number | null
}

/** From two fifths of the time on; the end is exclusive. */
function rangeOf({ parameters }: Place): readonly [from: number, to: number] {
  const rows = parameters.rows as number
  const from = firstAt + msBetween * Math.floor(rows * 0.4)
  return [from, from + msBetween * Math.ceil(rows / 100)]
}

function range([row]: readonly RangeRow[]): Answer {
  return [Number(row?.n), Number(row?.amount)]
}

export const timeRange: readonly Contestant[] = [
  ...varveOverTopics({
    run: (db, place, options) => {
      const [from, to] = rangeOf(place)
      return flow('range', db.topic<Event>('events'))
        .filter(record.time.gte(from).and(record.time.lt(to)))
        .aggregate({ n: count(), amount: sum('amount') })
        .toArray(options)
    },
    answer: range,
  }),
  ...(['csv', 'parquet', 'duckdb'] as const).map(form =>
    duckdb({
      form,
      threads: 2,
      table: 'events',
      sql: (from, place) => {
        const [start, end] = rangeOf(place)
        return `select count(*) n, sum(amount) amount from ${from} where "at" >= ${start} and "at" < ${end}`
      },
      answer: rows => range(rows as never),
    }),
  ),
  polars({
    form: 'parquet',
    frame: (library, path, place) => {
      const [from, to] = rangeOf(place)
      const at = library.col('at')
      return scan(library, 'parquet', path)
        .filter(at.gtEq(from).and(at.lt(to)))
        .select(library.col('amount').count().alias('n'), library.col('amount').sum().alias('amount'))
    },
    answer: rows => range(rows as never),
  }),
]

/** Real flights: the mean delay of a route in a month, and the routes with most flights. */
import { avg, col, count, flow, sum } from 'varve/compute'
import type { Flight } from '../inputs/flights.ts'
import { duckdb } from '../products/duckdb.ts'
import { javascript } from '../products/javascript.ts'
import { type Polars, polars, scan } from '../products/polars.ts'
import { varveOverTopics } from '../products/varve.ts'
import type { Answer, Contestant, Place } from '../workload.ts'

const most = 10
/** Fewer flights of a route in a month make no mean: of three million 20. */
const flightsMin = ({ parameters }: Place): number => Math.max(1, Math.floor((parameters.rows as number) / 150_000))

interface DelayRow {
  readonly month: number
  readonly origin: string
  readonly destination: string
  readonly n: number
  readonly delay: number | null
}

function delays(rows: readonly DelayRow[]): Answer {
  return rows.map(({ month, origin, destination, n, delay }) => [Number(month), origin, destination, Number(n), Number(delay).toFixed(6)])
}

const byDelay = (a: DelayRow, b: DelayRow): number =>
  (b.delay ?? 0) - (a.delay ?? 0) ||
  a.month - b.month ||
  (a.origin < b.origin ? -1 : a.origin > b.origin ? 1 : a.destination < b.destination ? -1 : 1)

const delaySql = (from: string, place: Place): string => `
  select month(make_timestamp_ms("at")) as month, origin, destination, count(*) n, avg(delay) delay from ${from}
  group by all having n >= ${flightsMin(place)} order by delay desc, month, origin, destination limit ${most}`

interface Sum {
  readonly month: number
  readonly origin: string
  readonly destination: string
  n: number
  delay: number
}

export const delayByRouteAndMonth: readonly Contestant[] = [
  ...varveOverTopics({
    run: (db, place, options) =>
      flow('delays', db.topic<Flight>('flights'))
        .keyBy({ month: col('at').month(), origin: 'origin', destination: 'destination' })
        .aggregate({ n: count(), delay: avg('delay') })
        .filter(col('n').gte(flightsMin(place)))
        .sort({ by: 'delay', descending: true }, 'month', 'origin', 'destination')
        .limit(most)
        .toArray(options),
    answer: delays,
  }),
  ...(['csv', 'parquet', 'duckdb'] as const).flatMap(form =>
    [2, 1].map(threads => duckdb({ form, threads, table: 'flights', sql: delaySql, answer: rows => delays(rows as never) })),
  ),
  ...(['csv', 'parquet'] as const).map(form =>
    polars({
      form,
      frame: (library: Polars, path, place) =>
        scan(library, form, path)
          .withColumn(library.col('at').cast(library.Datetime('ms')).date.month().alias('month'))
          .groupBy(['month', 'origin', 'destination'])
          .agg(library.col('delay').count().alias('n'), library.col('delay').mean().alias('delay'))
          .filter(library.col('n').gtEq(flightsMin(place)))
          .sort([library.col('delay').mul(-1), library.col('month'), library.col('origin'), library.col('destination')])
          .limit(most),
      answer: rows => delays(rows as never),
    }),
  ),
  ...javascript<Flight, Map<string, Sum>>({
    topics: ['flights'],
    initial: () => new Map(),
    loop: (rows, groups) => {
      for (const { at, origin, destination, delay } of rows) {
        const month = new Date(at).getUTCMonth() + 1
        const key = `${month} ${origin} ${destination}`
        const group = groups.get(key)
        if (group === undefined) groups.set(key, { month, origin, destination, n: 1, delay })
        else {
          group.n++
          group.delay += delay
        }
      }
    },
    finish: (groups, place) =>
      [...groups.values()]
        .filter(({ n }) => n >= flightsMin(place))
        .map(group => ({ ...group, delay: group.delay / group.n }))
        .sort(byDelay)
        .slice(0, most),
    answer: delays,
  }),
]

interface RouteRow {
  readonly origin: string
  readonly destination: string
  readonly n: number
  readonly distance: number | null
}

function routes(rows: readonly RouteRow[]): Answer {
  return rows.map(({ origin, destination, n, distance }) => [origin, destination, Number(n), Number(distance)])
}

const routeSql = (from: string): string => `
  select origin, destination, count(*) n, sum(distance) distance from ${from}
  group by all order by n desc, origin, destination limit ${most}`

export const topRoutes: readonly Contestant[] = [
  ...varveOverTopics({
    run: (db, _, options) =>
      flow('routes', db.topic<Flight>('flights'))
        .keyBy('origin', 'destination')
        .aggregate({ n: count(), distance: sum('distance') })
        .sort({ by: 'n', descending: true }, 'origin', 'destination')
        .limit(most)
        .toArray(options),
    answer: routes,
  }),
  ...(['csv', 'parquet', 'duckdb'] as const).flatMap(form =>
    [2, 1].map(threads => duckdb({ form, threads, table: 'flights', sql: routeSql, answer: rows => routes(rows as never) })),
  ),
  ...(['csv', 'parquet'] as const).map(form =>
    polars({
      form,
      frame: (library, path) =>
        scan(library, form, path)
          .groupBy(['origin', 'destination'])
          .agg(library.col('distance').count().alias('n'), library.col('distance').sum().alias('distance'))
          .sort([library.col('n').mul(-1), library.col('origin'), library.col('destination')])
          .limit(most),
      answer: rows => routes(rows as never),
    }),
  ),
  ...javascript<Flight, Map<string, { origin: string; destination: string; n: number; distance: number }>>({
    topics: ['flights'],
    initial: () => new Map(),
    loop: (rows, groups) => {
      for (const { origin, destination, distance } of rows) {
        const key = `${origin} ${destination}`
        const group = groups.get(key)
        if (group === undefined) groups.set(key, { origin, destination, n: 1, distance })
        else {
          group.n++
          group.distance += distance
        }
      }
    },
    finish: groups =>
      [...groups.values()]
        .sort((a, b) => b.n - a.n || (a.origin < b.origin ? -1 : a.origin > b.origin ? 1 : a.destination < b.destination ? -1 : 1))
        .slice(0, most),
    answer: routes,
  }),
]

/** Group-by over events, of few and of many keys, and of more keys than memory holds. */
import { count, flow, max, sum } from 'varve/compute'
import type { Event } from '../inputs/events.ts'
import type { KeyRow } from '../inputs/keys.ts'
import { duckdb } from '../products/duckdb.ts'
import { javascript } from '../products/javascript.ts'
import { polars, scan } from '../products/polars.ts'
import { varve, varveOverTopics } from '../products/varve.ts'
import type { Answer, Contestant } from '../workload.ts'

interface CategoryRow {
  readonly category: string
  readonly n: number
  readonly amount: number | null
}

function categories(rows: readonly CategoryRow[]): Answer {
  return rows.map(({ category, n, amount }) => [category, Number(n), Number(amount)]).sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
}

const categorySql = (from: string): string => `select category, count(*) n, sum(amount) amount from ${from} group by category`

export const groupFew: readonly Contestant[] = [
  ...varveOverTopics({
    run: (db, _, options) =>
      flow('group', db.topic<Event>('events'))
        .keyBy('category')
        .aggregate({ n: count(), amount: sum('amount') })
        .toArray(options),
    answer: categories,
  }),
  ...(['csv', 'parquet', 'duckdb'] as const).flatMap(form =>
    [2, 1].map(threads => duckdb({ form, threads, table: 'events', sql: categorySql, answer: rows => categories(rows as never) })),
  ),
  ...(['csv', 'parquet'] as const).map(form =>
    polars({
      form,
      frame: (library, path) =>
        scan(library, form, path)
          .groupBy('category')
          .agg(library.col('amount').count().alias('n'), library.col('amount').sum().alias('amount')),
      answer: rows => categories(rows as never),
    }),
  ),
  ...javascript<Event, Map<string, { category: string; n: number; amount: number }>>({
    topics: ['events'],
    initial: () => new Map(),
    loop: (rows, groups) => {
      for (const { category, amount } of rows) {
        const group = groups.get(category)
        if (group === undefined) groups.set(category, { category, n: 1, amount })
        else {
          group.n++
          group.amount += amount
        }
      }
    },
    finish: groups => [...groups.values()],
    answer: categories,
  }),
]

/** Of the groups: how many, the largest, and the sum over all. */
interface UsersRow {
  readonly users: number
  readonly most: number | null
  readonly amount: number | null
}

function users([row]: readonly UsersRow[]): Answer {
  return [Number(row?.users), Number(row?.most), Number(row?.amount)]
}

const userSql = (from: string): string =>
  `select count(*) users, max(n) most, sum(amount) amount from (select user, count(*) n, sum(amount) amount from ${from} group by user)`

export const groupMany: readonly Contestant[] = [
  ...varveOverTopics({
    run: (db, _, options) =>
      flow('group', db.topic<Event>('events'))
        .keyBy('user')
        .aggregate({ n: count(), amount: sum('amount') })
        .aggregate({ users: count(), most: max('n'), amount: sum('amount') })
        .toArray(options),
    answer: users,
  }),
  ...(['csv', 'parquet', 'duckdb'] as const).flatMap(form =>
    [2, 1].map(threads => duckdb({ form, threads, table: 'events', sql: userSql, answer: rows => users(rows as never) })),
  ),
  ...(['csv', 'parquet'] as const).map(form =>
    polars({
      form,
      frame: (library, path) =>
        scan(library, form, path)
          .groupBy('user')
          .agg(library.col('amount').count().alias('n'), library.col('amount').sum().alias('amount'))
          .select(
            library.col('user').count().alias('users'),
            library.col('n').max().alias('most'),
            library.col('amount').sum().alias('amount'),
          ),
      answer: rows => users(rows as never),
    }),
  ),
  ...javascript<Event, Map<number, { n: number; amount: number }>>({
    topics: ['events'],
    initial: () => new Map(),
    loop: (rows, groups) => {
      for (const { user, amount } of rows) {
        const group = groups.get(user)
        if (group === undefined) groups.set(user, { n: 1, amount })
        else {
          group.n++
          group.amount += amount
        }
      }
    },
    finish: groups => {
      let most = 0
      let amount = 0
      for (const group of groups.values()) {
        if (group.n > most) most = group.n
        amount += group.amount
      }
      return [{ users: groups.size, most, amount }]
    },
    answer: users,
  }),
]

/** More keys than fit: groups go to files. */
export const groupOutgrown: readonly Contestant[] = varve({
  reads: 'topic, msgpack',
  forms: ['topic'],
  threads: [2],
  memoryBytesMax: 96 << 20,
  run: (db, _, options) =>
    flow('group', db.topic<KeyRow>('keys'))
      .keyBy('key')
      .aggregate({ n: count(), amount: sum('amount') })
      .aggregate({ users: count(), most: max('n'), amount: sum('amount') })
      .toArray(options),
  answer: users,
})

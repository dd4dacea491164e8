/** Events joined with the items that they are about, then grouped by what only the items have. */
import { count, flow, sum } from 'varve/compute'
import type { Event, Item } from '../inputs/events.ts'
import { duckdb, quoted } from '../products/duckdb.ts'
import { javascript } from '../products/javascript.ts'
import { polars, scan } from '../products/polars.ts'
import { varveOverTopics } from '../products/varve.ts'
import type { Answer, Contestant } from '../workload.ts'

interface KindRow {
  readonly kind: string
  readonly n: number
  readonly amount: number | null
}

function kinds(rows: readonly KindRow[]): Answer {
  return rows.map(({ kind, n, amount }) => [kind, Number(n), Number(amount)]).sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
}

interface State {
  readonly kinds: Map<number | string, string>
  readonly groups: Map<string, { kind: string; n: number; amount: number }>
}

/** By a number, or by a text. */
export function joinOn(key: 'item' | 'sku'): readonly Contestant[] {
  return [
    ...varveOverTopics({
      run: (db, _, options) =>
        flow('join', db.topic<Event>('events'))
          .join(flow('items', db.topic<Item>('items')), { on: key })
          .keyBy('kind')
          .aggregate({ n: count(), amount: sum('amount') })
          .toArray(options),
      answer: kinds,
    }),
    ...(['csv', 'parquet', 'duckdb'] as const).flatMap(form =>
      [2, 1].map(threads =>
        duckdb({
          form,
          threads,
          table: 'events',
          forms: form === 'duckdb' ? [] : ['text'],
          sql: (from, place) => {
            const items = form === 'duckdb' ? 'items' : `read_csv(${quoted(place.path('text'))})`
            return `select kind, count(*) n, sum(amount) amount from ${from} as e join ${items} as i using (${key}) group by kind`
          },
          answer: rows => kinds(rows as never),
        }),
      ),
    ),
    ...(['csv', 'parquet'] as const).map(form =>
      polars({
        form,
        forms: ['text'],
        frame: (library, path, place) =>
          scan(library, form, path)
            .join(scan(library, 'csv', place.path('text')), { on: key, how: 'inner' })
            .groupBy('kind')
            .agg(library.col('amount').count().alias('n'), library.col('amount').sum().alias('amount')),
        answer: rows => kinds(rows as never),
      }),
    ),
    ...javascript<Event & Item, State>({
      topics: ['items', 'events'],
      initial: () => ({ kinds: new Map(), groups: new Map() }),
      loop: (rows, state, topic) => {
        if (topic === 0) {
          for (const row of rows) state.kinds.set(row[key], row.kind)
          return
        }
        for (const row of rows) {
          const kind = state.kinds.get(row[key])
          if (kind === undefined) continue
          const group = state.groups.get(kind)
          if (group === undefined) state.groups.set(kind, { kind, n: 1, amount: row.amount })
          else {
            group.n++
            group.amount += row.amount
          }
        }
      },
      finish: ({ groups }) => [...groups.values()],
      answer: kinds,
    }),
  ]
}

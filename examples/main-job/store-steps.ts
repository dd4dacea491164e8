/** The main job's steps with the store of rows: queries, removals by transactions, a look at the moment before them. Each is checked against the source. */

import type { Database, StoreView } from '../../index.ts'
import { compare } from './check.ts'
import type { DataRow } from './input.ts'
import { type Model, Tally } from './model.ts'
import { grouped, type Steps } from './steps.ts'
import { keptStore, type RowKey, type RowStore, removedStore } from './stores.ts'

const removalsMax = 2000
const atOnce = 16
const lookupsMax = 100_000

export class StoreSteps {
  readonly #steps: Steps
  readonly #model: Model
  /** Commit sequence before the removals. */
  #before = 0

  constructor(steps: Steps, model: Model) {
    this.#steps = steps
    this.#model = model
  }

  async query(db: Database): Promise<void> {
    const { input, indexes, kept, indexed } = this.#model
    const store = keptStore(db, input.columns)
    const lookups = Math.min(lookupsMax, kept.rows)
    const entries = [...indexed.values()].reduce((sum, count) => sum + count, 0)
    await this.#steps.run('query by key, range and index', kept.rows + entries + lookups, async advance => {
      const keys: RowKey[] = []
      const found = tallyOf(store, this.#model, (key, row) => {
        advance(1)
        if (keys.length < lookups) keys.push(key)
        return row
      })
      found.compareTo('rows by range', kept)
      for (const key of keys) {
        if (store.get(key) === undefined) throw new Error(`row ${key.join(' ')} is not there`)
        advance(1)
      }
      for (const index of indexes) compare(`entries of the index ${index}`, walkIndex(store, index, advance), indexed.get(index) ?? 0)
      const by = indexes.length === 0 ? 'no indexes' : `${grouped(entries)} entries of the indexes ${indexes.join(' and ')}`
      return { records: kept.rows + entries + lookups, bytes: 0, finding: `${grouped(kept.rows)} ${input.kept} and ${by} are right` }
    })
  }

  async remove(db: Database): Promise<void> {
    const { input, kept, removed } = this.#model
    const store = keptStore(db, input.columns)
    const count = Math.min(removalsMax, Math.ceil(kept.rows / 10))
    this.#before = db.stats().sequence
    await this.#steps.run('remove by transactions', count, async advance => {
      const step = Math.floor(kept.rows / count)
      const keys = [...store.keys()].filter((_, i) => i % step === 0).slice(0, count) as RowKey[]
      const reruns = await removeRows(db, this.#model, keys, advance)
      compare('keys with removals', removedStore(db).count(), removed.size)
      for (const [key, rows] of removed) compare(`removals of ${key}`, removedStore(db).get(key), rows)
      const finding = `${grouped(count)} ${input.what}, ${atOnce} at once; ${grouped(reruns)} bodies met another and ran again, all counts are right`
      return { records: count, bytes: 0, finding }
    })
  }

  async lookBack(db: Database): Promise<void> {
    const { input, kept, removed } = this.#model
    await this.#steps.run('look back with asOf', kept.rows, async advance => {
      const store = keptStore(db, input.columns)
      const now = kept.rows - [...removed.values()].reduce((sum, count) => sum + count, 0)
      compare('rows now', store.count(), now)
      const view = store.asOf(this.#before)
      tallyOf(view, this.#model, (_, row) => {
        advance(1)
        return row
      }).compareTo('rows as of before', kept)
      view.close()
      const finding = `${grouped(kept.rows)} ${input.kept} before the removals, ${grouped(now)} now`
      return { records: kept.rows, bytes: 0, finding }
    })
  }
}

/** All rows of the store, in the order of key and line. */
export function tallyOf(
  store: Pick<StoreView<DataRow, readonly (string | number)[]>, 'entries'>,
  model: Model,
  seen: (key: RowKey, row: DataRow) => DataRow = (_, row) => row,
): Tally {
  const found = new Tally(model.input.columns)
  for (const [key, row] of store.entries()) found.add(key[0] as string, seen(key as unknown as RowKey, row))
  return found
}

/** Counts the entries of an index, which must be in order and say what their rows say. */
export function walkIndex(store: RowStore, index: string, advance: (by: number) => void): number {
  let count = 0
  for (const [value, key, row] of store.index(index).entries()) {
    const actual = row[index]
    if (!(actual === value || (actual instanceof Date && actual.getTime() === (value as Date).getTime())))
      compare(`index ${index} of row ${key.join(' ')}`, value, actual)
    count++
    advance(1)
  }
  return count
}

/** Removes rows, each by a transaction that counts it by its key; returns how often a body was run again. */
export async function removeRows(db: Database, model: Model, keys: readonly RowKey[], advance: (by: number) => void): Promise<number> {
  const kept = keptStore(db, model.input.columns)
  const removed = removedStore(db)
  let runs = 0
  const remove = async (rowKey: RowKey): Promise<void> => {
    const [key] = rowKey
    await db.transaction(
      async tx => {
        runs++
        const store = tx.store(kept)
        const counts = tx.store(removed)
        if (!store.has(rowKey)) throw new Error(`row ${rowKey.join(' ')} is not there`)
        const count = counts.get(key) ?? 0
        await Promise.resolve() // others run meanwhile
        store.del(rowKey)
        counts.put(key, count + 1)
      },
      { retries: 100 },
    )
    model.removed.set(key, (model.removed.get(key) ?? 0) + 1)
    advance(1)
  }
  for (let first = 0; first < keys.length; first += atOnce) await Promise.all(keys.slice(first, first + atOnce).map(remove))
  return runs - keys.length
}

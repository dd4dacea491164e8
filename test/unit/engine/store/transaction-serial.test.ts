/**
 * Goal: transactions are serializable. Random ones, synchronous and asynchronous, run interleaved at their awaits over two stores, with flushes and
 * merges in between; each notes what it read and wrote. Replayed one after the other on plain maps, in the order of their commits, every read
 * gives the same answer again, and the maps end as the stores do.
 *
 * A committed transaction appends its number to a topic log in the same commit, which gives the order; one that only reads notes where the log
 * ended at its first read.
 */
import { describe, expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import type { Store } from '../../../../engine/store/store.ts'
import type { Transaction } from '../../../../engine/store/transaction.ts'
import type { TransactionIterator } from '../../../../engine/store/transaction-iterator.ts'
import type { TransactionStore } from '../../../../engine/store/transaction-store.ts'
import type { newEnvironment } from '../../../probes/support.ts'
import { runSerial, SerialProgram, type SerialRun } from './serial-program.ts'

type Content = Map<string, number>
type Entry = [string, number]

interface Range {
  readonly gt?: string
  readonly gte?: string
  readonly lt?: string
  readonly lte?: string
  readonly prefix?: string
  readonly reverse?: boolean
}

/** What a body did, with the answer it got. */
type Step =
  | { readonly type: 'get'; readonly store: number; readonly key: string; readonly answer: number | undefined }
  | { readonly type: 'has'; readonly store: number; readonly key: string; readonly answer: boolean }
  | { readonly type: 'count'; readonly store: number; readonly range: Range; readonly answer: number }
  | { readonly type: 'open'; readonly store: number; readonly range: Range; readonly limit: number; readonly iterator: number }
  | { readonly type: 'seek'; readonly iterator: number; readonly key: string }
  | { readonly type: 'take'; readonly iterator: number; readonly count: number; readonly answer: readonly Entry[] }
  | { readonly type: 'put'; readonly store: number; readonly key: string; readonly value: number }
  | { readonly type: 'del'; readonly store: number; readonly key: string }
  | { readonly type: 'delRange'; readonly store: number; readonly range: Range }

type Run = SerialRun<Step>

function inRange(key: string, { gt, gte, lt, lte, prefix }: Range): boolean {
  return (
    (gt === undefined || key > gt) &&
    (gte === undefined || key >= gte) &&
    (lt === undefined || key < lt) &&
    (lte === undefined || key <= lte) &&
    (prefix === undefined || key.startsWith(prefix))
  )
}

function entriesOf(content: Content, range: Range): Entry[] {
  const entries = [...content].filter(([key]) => inRange(key, range)).sort(([a], [b]) => (a < b ? -1 : 1))
  return range.reverse === true ? entries.reverse() : entries
}

/** A cursor of the model: all of the range at the moment it was opened. */
interface Opened {
  readonly range: Range
  readonly entries: readonly Entry[]
  at: number
  left: number
}

/** Does the steps of a run on plain maps; throws when a read gives another answer. */
function replay(run: Run, contents: readonly Content[]): void {
  const opened = new Map<number, Opened>()
  for (const step of run.steps) {
    const content = 'store' in step ? (contents[step.store] as Content) : new Map()
    const iterator = 'iterator' in step ? opened.get(step.iterator) : undefined
    const where = `transaction ${run.number}, ${JSON.stringify(step)}`
    switch (step.type) {
      case 'get':
        expect(content.get(step.key), where).toBe(step.answer)
        break
      case 'has':
        expect(content.has(step.key), where).toBe(step.answer)
        break
      case 'count':
        expect(entriesOf(content, step.range).length, where).toBe(step.answer)
        break
      case 'open':
        opened.set(step.iterator, { range: step.range, entries: entriesOf(content, step.range), at: 0, left: step.limit })
        break
      case 'seek': {
        const { range, entries } = iterator as Opened
        const at = entries.findIndex(([key]) => (range.reverse === true ? key <= step.key : key >= step.key))
        ;(iterator as Opened).at = at < 0 ? entries.length : at
        break
      }
      case 'take': {
        const { entries, at, left } = iterator as Opened
        const taken = entries.slice(at, at + Math.min(left, step.count))
        expect(taken, where).toEqual(step.answer)
        ;(iterator as Opened).at += taken.length
        ;(iterator as Opened).left -= taken.length
        break
      }
      case 'put':
        content.set(step.key, step.value)
        break
      case 'del':
        content.delete(step.key)
        break
      case 'delRange':
        for (const key of [...content.keys()]) if (inRange(key, step.range)) content.delete(key)
    }
  }
}

class Program extends SerialProgram<Step> {
  readonly #stores: readonly Store<number, string>[]
  readonly #contents: readonly Content[]
  #values = 0

  constructor(seed: number, environment: ReturnType<typeof newEnvironment>, db: Database) {
    super(seed, environment, db, { steps: 8, reads: 0.55, aborts: 0.05, compacted: 'store/s0' })
    this.#stores = ['s0', 's1'].map(name => db.store<number, string>(name))
    this.#contents = this.#stores.map(() => new Map())
  }

  key(): string {
    const text = String(this.random.below(25))
    return this.random.chance(0.3) ? `k${text}` : `k${text.padStart(2, '0')}`
  }

  range(): Range {
    const { random } = this
    const reverse = random.chance(0.4)
    if (random.chance(0.2)) return { prefix: `k${random.below(3)}`, reverse }
    const [from, to] = [this.key(), this.key()].sort() as [string, string]
    const lower = [{}, { gt: from }, { gte: from }][random.below(3)] ?? {}
    const upper = [{}, { lt: to }, { lte: to }][random.below(3)] ?? {}
    return { ...lower, ...upper, reverse }
  }

  protected begin(tx: Transaction, run: Run): { read(): void; write(): void } {
    const stores = this.#stores.map(store => tx.store(store))
    const iterators: TransactionIterator<Entry>[] = []
    const drawn = (): [TransactionStore<number, string>, number] => {
      const at = this.random.below(stores.length)
      return [stores[at] as TransactionStore<number, string>, at]
    }
    return { read: () => this.read(...drawn(), run.steps, iterators), write: () => this.write(...drawn(), run) }
  }

  protected replay(run: Run): void {
    replay(run, this.#contents)
  }

  protected compare(): void {
    this.#stores.forEach((store, i) => {
      expect([...store]).toEqual(entriesOf(this.#contents[i] as Content, {}))
    })
  }

  read(store: TransactionStore<number, string>, at: number, steps: Step[], iterators: TransactionIterator<Entry>[]): void {
    const { random } = this
    const key = this.key()
    const range = this.range()
    const what = random.below(10)
    if (what < 3) steps.push({ type: 'get', store: at, key, answer: store.get(key) })
    else if (what < 4) steps.push({ type: 'has', store: at, key, answer: store.has(key) })
    else if (what < 5) steps.push({ type: 'count', store: at, range, answer: store.count(range) })
    else if (what < 7 || iterators.length === 0) {
      const limit = random.chance(0.3) ? random.below(6) : 100
      steps.push({ type: 'open', store: at, range, limit, iterator: iterators.length })
      iterators.push(store.iterator({ ...range, limit }))
      this.take(iterators.length - 1, steps, iterators)
    } else if (what < 8) {
      const iterator = random.below(iterators.length)
      iterators[iterator]?.seek(key)
      steps.push({ type: 'seek', iterator, key })
      this.take(iterator, steps, iterators)
    } else this.take(random.below(iterators.length), steps, iterators)
  }

  take(iterator: number, steps: Step[], iterators: readonly TransactionIterator<Entry>[]): void {
    const count = 1 + this.random.below(this.random.chance(0.3) ? 40 : 3)
    steps.push({ type: 'take', iterator, count, answer: (iterators[iterator] as TransactionIterator<Entry>).nextBatch(count) })
  }

  write(store: TransactionStore<number, string>, at: number, run: Run): void {
    const { random } = this
    const key = this.key()
    const what = random.below(12)
    if (what < 2) {
      store.del(key)
      run.steps.push({ type: 'del', store: at, key })
    } else if (what === 2) {
      const { reverse: _, ...range } = this.range()
      store.delRange(range)
      run.steps.push({ type: 'delRange', store: at, range })
    } else {
      const value = ++this.#values
      store.put(key, value)
      run.steps.push({ type: 'put', store: at, key, value })
    }
  }
}

describe('random transactions, interleaved', () => {
  const seeds = Array.from({ length: 14 }, (_, i) => i + 1)
  test.each(seeds)('are serializable: seed %i', async seed => {
    expect.hasAssertions()
    await runSerial(seed, (environment, db) => new Program(seed, environment, db))
  })
})

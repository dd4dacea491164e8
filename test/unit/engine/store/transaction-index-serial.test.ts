/**
 * Goal: transactions that query indexes are serializable. Random ones, with and without awaits, run interleaved over one indexed store, with flushes and
 * merges in between; each notes its queries with their answers and its writes. Replayed one after the other on a plain map, in the order of their
 * commits, every query gives the same answer again: so no phantom came between, and own writes were seen.
 *
 * A committed transaction appends its number to a topic log in the same commit, which gives the order; one that only reads notes where the log ended at
 * its first read.
 */
import { expect, test } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import { compareStoreKeys, type StoreKey } from '../../../../engine/store/key-codec.ts'
import type { Store } from '../../../../engine/store/store.ts'
import type { Transaction } from '../../../../engine/store/transaction.ts'
import type { TransactionIterator } from '../../../../engine/store/transaction-iterator.ts'
import type { TransactionStore } from '../../../../engine/store/transaction-store.ts'
import type { newEnvironment } from '../../../probes/support.ts'
import { runSerial, SerialProgram, type SerialRun } from './serial-program.ts'

interface Value {
  readonly id: number
  readonly c?: number
  readonly t?: readonly number[]
}

type Content = Map<string, Value>
type Entry = [StoreKey, string, Value]
type Name = 'c' | 't' | 'both'
interface Range {
  readonly gte?: StoreKey
  readonly gt?: StoreKey
  readonly lt?: StoreKey
  readonly reverse: boolean
}

const indexes = { c: 'c', t: { path: 't', multi: true }, both: ['c', 't.0'] } as const

/** What a body did, with the answer it got. */
type Step =
  | { readonly type: 'all'; readonly name: Name; readonly value: StoreKey; readonly answer: readonly Value[] }
  | { readonly type: 'first'; readonly name: Name; readonly value: StoreKey; readonly answer: Value | undefined }
  | { readonly type: 'keys' | 'count'; readonly name: Name; readonly range: Range; readonly answer: unknown }
  | { readonly type: 'open'; readonly name: Name; readonly range: Range; readonly iterator: number }
  | { readonly type: 'seek'; readonly iterator: number; readonly value: StoreKey }
  | { readonly type: 'take'; readonly iterator: number; readonly count: number; readonly answer: readonly Entry[] }
  | { readonly type: 'get'; readonly key: string; readonly answer: Value | undefined }
  | { readonly type: 'put'; readonly key: string; readonly value: Value }
  | { readonly type: 'del'; readonly key: string }
  | { readonly type: 'delRange'; readonly from: string; readonly to: string }
  | {
      readonly type: 'cas'
      readonly key: string
      readonly expected: Value | undefined
      readonly value: Value | undefined
      readonly answer: boolean
    }

type Run = SerialRun<Step>

function entriesOf(content: Content, name: Name): Entry[] {
  const entries: Entry[] = []
  for (const [key, value] of content) {
    const { c, t = [] } = value
    if (name === 'c' && c !== undefined) entries.push([c, key, value])
    if (name === 't') for (const each of new Set(t)) entries.push([each, key, value])
    if (name === 'both' && c !== undefined && t[0] !== undefined) entries.push([[c, t[0]], key, value])
  }
  return entries.sort(([a, k], [b, l]) => compareStoreKeys(a, b) || compareStoreKeys(k, l))
}

/** Of an index value against a bound, of which a compound one may be shorter. */
function order(value: StoreKey, bound: StoreKey): number {
  return compareStoreKeys(Array.isArray(value) ? value.slice(0, (bound as StoreKey[]).length) : value, bound)
}

function inRange(entries: readonly Entry[], { gt, gte, lt, reverse }: Range): Entry[] {
  const found = entries.filter(
    ([value]) =>
      (gt === undefined || order(value, gt) > 0) &&
      (gte === undefined || order(value, gte) >= 0) &&
      (lt === undefined || order(value, lt) < 0),
  )
  return reverse ? found.reverse() : found
}

/** Does the steps of a run on a plain map; throws when a query gives another answer. */
function replay(run: Run, content: Content): void {
  const opened = new Map<number, { readonly entries: readonly Entry[]; readonly reverse: boolean; at: number }>()
  for (const step of run.steps) {
    const where = `transaction ${run.number}, ${JSON.stringify(step)}`
    const iterator = 'iterator' in step ? opened.get(step.iterator) : undefined
    switch (step.type) {
      case 'all':
      case 'first': {
        const values = entriesOf(content, step.name)
          .filter(([value]) => order(value, step.value) === 0)
          .map(([, , value]) => value)
        expect(step.type === 'all' ? values : values[0], where).toEqual(step.answer)
        break
      }
      case 'keys':
      case 'count': {
        const keys = inRange(entriesOf(content, step.name), step.range).map(([, key]) => key)
        expect(step.type === 'keys' ? keys : keys.length, where).toEqual(step.answer)
        break
      }
      case 'open':
        opened.set(step.iterator, { entries: inRange(entriesOf(content, step.name), step.range), reverse: step.range.reverse, at: 0 })
        break
      case 'seek': {
        const { entries, reverse } = iterator as NonNullable<typeof iterator>
        const at = entries.findIndex(([value]) => (reverse ? order(value, step.value) <= 0 : order(value, step.value) >= 0))
        ;(iterator as NonNullable<typeof iterator>).at = at < 0 ? entries.length : at
        break
      }
      case 'take': {
        const known = iterator as NonNullable<typeof iterator>
        const taken = known.entries.slice(known.at, known.at + step.count)
        expect(taken, where).toEqual(step.answer)
        known.at += taken.length
        break
      }
      case 'get':
        expect(content.get(step.key), where).toEqual(step.answer)
        break
      case 'put':
        content.set(step.key, step.value)
        break
      case 'del':
        content.delete(step.key)
        break
      case 'delRange':
        for (const key of [...content.keys()]) if (key >= step.from && key < step.to) content.delete(key)
        break
      case 'cas': {
        const isSame = JSON.stringify(content.get(step.key)) === JSON.stringify(step.expected)
        expect(isSame, where).toBe(step.answer)
        if (!isSame) break
        if (step.value === undefined) content.delete(step.key)
        else content.set(step.key, step.value)
      }
    }
  }
}

class Program extends SerialProgram<Step> {
  readonly #store: Store<Value, string>
  readonly #content: Content = new Map()
  #values = 0

  constructor(seed: number, environment: ReturnType<typeof newEnvironment>, db: Database, store: Store<Value, string>) {
    super(seed, environment, db, { steps: 9, reads: 0.5, aborts: 0, compacted: 'store/s' })
    this.#store = store
  }

  protected begin(tx: Transaction, run: Run): { read(): void; write(): void } {
    const store = tx.store(this.#store)
    const iterators: { readonly name: Name; readonly iterator: TransactionIterator<Entry> }[] = []
    return { read: () => this.read(store, run.steps, iterators), write: () => this.write(store, run) }
  }

  protected replay(run: Run): void {
    replay(run, this.#content)
  }

  protected compare(): void {
    for (const name of ['c', 't', 'both'] as const) expect([...this.#store.index(name).entries()]).toEqual(entriesOf(this.#content, name))
  }

  key(): string {
    return `k${String(this.random.below(30)).padStart(2, '0')}`
  }

  value(): Value {
    const { random } = this
    return {
      id: this.#values++,
      ...(random.chance(0.8) ? { c: random.below(8) } : {}),
      ...(random.chance(0.7) ? { t: Array.from({ length: random.below(4) }, () => random.below(8)) } : {}),
    }
  }

  indexed(name: Name): StoreKey {
    const { random } = this
    if (name !== 'both') return random.below(8)
    return random.chance(0.5) ? [random.below(8)] : [random.below(8), random.below(8)]
  }

  range(name: Name): Range {
    const { random } = this
    const lower = [{}, { gte: this.indexed(name) }, { gt: this.indexed(name) }][random.below(3)]
    return { ...lower, ...(random.chance(0.6) ? { lt: this.indexed(name) } : {}), reverse: random.chance(0.4) }
  }

  read(
    store: TransactionStore<Value, string>,
    steps: Step[],
    iterators: { readonly name: Name; readonly iterator: TransactionIterator<Entry> }[],
  ): void {
    const { random } = this
    const name = (['c', 't', 'both'] as const)[random.below(3)] as Name
    const index = store.index(name)
    const value = this.indexed(name)
    const range = this.range(name)
    const what = random.below(12)
    if (what < 2) steps.push({ type: 'all', name, value, answer: index.getAll(value) })
    else if (what < 4) steps.push({ type: 'first', name, value, answer: index.get(value) })
    else if (what < 5) steps.push({ type: 'keys', name, range, answer: [...index.keys(range)] })
    else if (what < 6) steps.push({ type: 'count', name, range, answer: index.count(range) })
    else if (what < 7) {
      const key = this.key()
      steps.push({ type: 'get', key, answer: store.get(key) })
    } else if (what < 9 || iterators.length === 0) {
      steps.push({ type: 'open', name, range, iterator: iterators.length })
      iterators.push({ name, iterator: index.entries(range) })
    } else {
      const at = random.below(iterators.length)
      const opened = iterators[at] as (typeof iterators)[number]
      if (what === 9) {
        const target = this.indexed(opened.name)
        opened.iterator.seek(target)
        steps.push({ type: 'seek', iterator: at, value: target })
      }
      const count = 1 + random.below(random.chance(0.3) ? 40 : 3)
      steps.push({ type: 'take', iterator: at, count, answer: opened.iterator.nextBatch(count) })
    }
  }

  write(store: TransactionStore<Value, string>, run: Run): void {
    const { random } = this
    const key = this.key()
    const what = random.below(14)
    if (what < 2) {
      store.del(key)
      run.steps.push({ type: 'del', key })
    } else if (what === 2) {
      const [from, to] = [key, this.key()].sort() as [string, string]
      store.delRange({ gte: from, lt: to })
      run.steps.push({ type: 'delRange', from, to })
    } else if (what < 6) {
      this.takeMoment(run)
      const expected = random.chance(0.7) ? store.get(key) : this.value()
      const value = random.chance(0.8) ? this.value() : undefined
      run.steps.push({ type: 'cas', key, expected, value, answer: store.compareAndSet(key, expected, value) })
    } else {
      const value = this.value()
      store.put(key, value)
      run.steps.push({ type: 'put', key, value })
    }
  }
}

test.each(Array.from({ length: 8 }, (_, i) => i + 1))('random transactions over indexes are serializable: seed %i', async seed => {
  expect.hasAssertions()
  await runSerial(seed, async (environment, db) => {
    const store = db.store<Value, string>('s', { indexes })
    await store.ready()
    return new Program(seed, environment, db, store)
  })
})

/**
 * What a database may hold: the list of states that it went through, one per commit, all logs together.
 *
 * The commit log is one sequence, so whatever a crash or a failure leaves must be the state after *some* prefix of the commits, and one that is
 * no shorter than the last commit that was acknowledged. This one rule says that nothing acknowledged is lost, that commits over several logs
 * are all or nothing, that order is kept across logs, and that nothing is invented.
 *
 * 1. `push` adds the state after a commit, in the turn in which the database accepted it.
 * 2. `acknowledge` moves the least state that must survive.
 * 3. `match` finds the state that an observation is; `settle` makes it the only one, as a reopen does.
 */
import type { Database } from '../../engine/index.ts'
import { internals } from '../support/internals.ts'
import { type ObservedLog, type ObservedRecord, observeLog } from './observe.ts'
import { observeExtras, observeStore, type StoreContent, storeLog, storePrefix, textOfContent } from './observe-store.ts'

export interface LogState {
  readonly startOffset: number
  readonly endOffset: number
  readonly records: readonly ObservedRecord[]
  readonly metadata: string | undefined
  /** Of a store: its entries, instead of records. */
  readonly content?: StoreContent
}

export type State = ReadonlyMap<string, LogState>

/** What an acknowledgement must survive. */
export type Survives = 'power loss' | 'process end'

export const emptyLog: LogState = { startOffset: 0, endOffset: 0, records: [], metadata: undefined }

export const metadataSlot = 'note'

export class Model {
  #states: State[]
  /** Index of the least state that must be there after a power loss, and after the end of the process. */
  #least = { 'power loss': 0, 'process end': 0 }
  /** Counts records, so that no two are alike. */
  #made = 0

  constructor(state: State = new Map()) {
    this.#states = [state]
    for (const { records } of state.values())
      for (const { value } of records) this.#made = Math.max(this.#made, Number.parseInt(value.slice(1), 10) + 1)
    for (const { n } of this.content.values()) this.#made = Math.max(this.#made, n + 1)
  }

  get newest(): State {
    return this.#states.at(-1) as State
  }

  log(name: string): LogState {
    return this.newest.get(name) ?? emptyLog
  }

  get content(): StoreContent {
    return this.log(storeLog).content ?? new Map()
  }

  /** Number for the next record. */
  nextNumber(): number {
    return this.#made++
  }

  /** A commit was accepted that changes these logs and removes those. Returns the number of the state after it. */
  push(changes: ReadonlyMap<string, Partial<LogState>>, removed: readonly string[] = []): number {
    const next = new Map(this.newest)
    for (const name of removed) next.delete(name)
    for (const [name, change] of changes) next.set(name, { ...this.log(name), ...change })
    this.#states.push(next)
    return this.#states.length - 1
  }

  acknowledge(state: number, survives: Survives): void {
    this.#least['process end'] = Math.max(this.#least['process end'], state)
    if (survives === 'power loss') this.#least['power loss'] = Math.max(this.#least['power loss'], state)
  }

  /** Everything so far is on the disk, as after a clean close. */
  acknowledgeAll(): void {
    this.acknowledge(this.#states.length - 1, 'power loss')
  }

  /** The newest possible state that agrees with what is read; throws an Error that says what differs. */
  match(database: Database, survived: Survives, isStoreReady: boolean = false): State {
    return this.matchFrom(database, this.#least[survived], survived, isStoreReady)
  }

  /** As `match`, where states from number `least` on are possible. */
  matchFrom(database: Database, least: number, survived: string, isStoreReady: boolean = false): State {
    const observed = new Map<string, ObservedLog>()
    for (const { name } of database.list()) if (!name.includes('/')) observed.set(name, observeLog(database.log(name)))
    const store = observeStore(database, isStoreReady)
    const extras = observeExtras(database)
    const differences: string[] = []
    for (let i = this.#states.length - 1; i >= least; i--) {
      const state = this.#states[i] as State
      const content = state.get(storeLog)?.content ?? new Map()
      const difference =
        textOfContent(content) === (store ?? '')
          ? (extrasDiffer(extras, state) ?? differs(database, observed, state))
          : `the store does not hold its ${content.size} entries`
      if (difference === undefined) return state
      differences.push(`state ${i}: ${difference}`)
    }
    throw new Error(
      `after ${survived} the database holds none of the states ${least} to ${this.#states.length - 1}: ${differences.join('; ')}`,
    )
  }

  /** For a second judge of the same history. */
  copy(): Model {
    const copy = new Model()
    copy.adopt(this)
    return copy
  }

  adopt(other: Model): void {
    this.#states = [...other.#states]
    this.#least = { ...other.#least }
    this.#made = other.#made
  }

  /** From here on `state` is what there is; later ones never were. */
  settle(state: State): void {
    const index = this.#states.lastIndexOf(state)
    this.#states.length = index + 1
    this.#least = { 'power loss': index, 'process end': index }
  }

  numberOf(state: State): number {
    return this.#states.lastIndexOf(state)
  }

  /** Number of the newest state. */
  get newestNumber(): number {
    return this.#states.length - 1
  }
}

/** Other stores are those of the state, with what it says they hold. */
function extrasDiffer(observed: ReadonlyMap<string, string>, state: State): string | undefined {
  const expected = new Map(
    [...state].filter(([name, { content }]) => name.startsWith(storePrefix) && name !== storeLog && content !== undefined),
  )
  const names = [...observed.keys()].sort().join()
  if (names !== [...expected.keys()].sort().join()) return `the stores are ${names}, not ${[...expected.keys()].join()}`
  for (const [name, { content = new Map() }] of expected) {
    if (observed.get(name) !== textOfContent(content)) return `${name} does not hold its ${content.size} entries`
  }
  return undefined
}

/** How the observation differs from the state; undefined when it does not. Logs that a state does not name must be empty or absent. */
function differs(database: Database, observed: ReadonlyMap<string, ObservedLog>, state: State): string | undefined {
  for (const name of new Set([...state.keys(), ...observed.keys()])) {
    if (name.startsWith(storePrefix)) continue
    const expected = state.get(name) ?? emptyLog
    const actual = observed.get(name)
    if (actual === undefined) {
      if (expected !== emptyLog) return `log ${name} is missing`
      continue
    }
    const problem = logDiffers(database, name, actual, expected)
    if (problem !== undefined) return `log ${name}: ${problem}`
  }
  return undefined
}

function logDiffers(database: Database, name: string, actual: ObservedLog, expected: LogState): string | undefined {
  const log = database.log(name)
  if (actual.endOffset !== expected.endOffset) return `ends at ${actual.endOffset}, not at ${expected.endOffset}`
  const metadata = log.metadata.get(metadataSlot)
  if ((metadata === undefined ? undefined : new TextDecoder().decode(metadata)) !== expected.metadata) return 'other metadata'
  if (log.kind === 'store' && expected.startOffset === 0) {
    const entries = expected.records.map(record => `${record.key}=${record.value}`).sort()
    if (entries.join() !== actual.entries.join()) return `${actual.entries.length} entries, not the ${entries.length} expected`
  }
  const byOffset = new Map(expected.records.map(record => [record.offset, record]))
  for (const record of actual.records) {
    const right = byOffset.get(record.offset)
    if (right === undefined || right.key !== record.key || right.value !== record.value) return `wrong record at ${record.offset}`
  }
  if (log.definition.cleanup === 'compact') return compactedDiffers(actual, expected)
  const { trimmedTo } = internals(log)
  if (log.kind === 'topic' && trimmedTo !== expected.startOffset) return `starts at ${trimmedTo}, not at ${expected.startOffset}`
  const readable = expected.records.filter(record => record.offset >= actual.startOffset)
  return actual.records.length === readable.length ? undefined : `${actual.records.length} records, not ${readable.length}`
}

/** A log compacted by key keeps at least the newest record of each key. */
function compactedDiffers(actual: ObservedLog, expected: LogState): string | undefined {
  const newest = new Map(expected.records.map(record => [record.key, record.offset]))
  const kept = new Set(actual.records.map(record => record.offset))
  for (const [key, offset] of newest) if (!kept.has(offset)) return `the newest record of key ${key}, at ${offset}, is gone`
  return undefined
}

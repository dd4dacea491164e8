/**
 * Partitions, groups and transactions as simply as they can be had: everything that happens is one row of a journal, the state is recomputed from it. It is
 * right by inspection, and random programs over it give histories that are valid (see valid-history.ts).
 */
import type { Partition, Polled, Value } from './history.ts'

export type Row =
  | { readonly type: 'append'; readonly partition: Partition; readonly value: Value; readonly key?: string; readonly transaction?: string }
  | { readonly type: 'end'; readonly transaction: string; readonly isCommit: boolean }
  | {
      readonly type: 'offsets'
      readonly group: string
      readonly positions: Readonly<Record<Partition, number>>
      readonly transaction?: string
    }
  | { readonly type: 'trim'; readonly partition: Partition; readonly offset: number }
  | { readonly type: 'compact'; readonly partition: Partition }

interface Entry {
  readonly offset: number
  /** Absent for a marker. */
  readonly value?: Value
  readonly key?: string
  readonly transaction?: string
}

interface Log {
  entries: Entry[]
  start: number
  end: number
}

export class NaiveBroker {
  #journal: Row[] = []
  /** Number of rows that no crash takes. */
  #synced = 0
  #logs = new Map<Partition, Log>()
  #fates = new Map<string, 'open' | 'committed' | 'aborted'>()
  #offsets = new Map<string, Map<Partition, number>>()
  #pendingOffsets = new Map<string, Extract<Row, { type: 'offsets' }>[]>()

  /** Adds a row; a synced one takes all before it along. Returns the offset of an append. */
  write(row: Row, isSynced = true): number {
    const offset = this.#apply(row)
    this.#journal.push(row)
    if (isSynced) this.#synced = this.#journal.length
    return offset
  }

  /** The machine dies: of what is not synced the first `kept` rows remain (chosen by the caller below the count it is given). */
  crash(keep: (unsynced: number) => number): void {
    const rows = this.#journal.slice(0, this.#synced + keep(this.#journal.length - this.#synced))
    this.#logs.clear()
    this.#fates.clear()
    this.#offsets.clear()
    this.#pendingOffsets.clear()
    for (const row of rows) this.#apply(row)
    this.#journal = rows
    this.#synced = rows.length
  }

  get openTransactions(): string[] {
    return [...this.#fates].filter(([, fate]) => fate === 'open').map(([name]) => name)
  }

  startOf(partition: Partition): number {
    return this.#log(partition).start
  }

  endOf(partition: Partition): number {
    return this.#log(partition).end
  }

  /** First offset of the oldest open transaction, else the end. */
  lastStableOffset(partition: Partition): number {
    const { entries, end } = this.#log(partition)
    return entries.find(({ transaction }) => transaction !== undefined && this.#fates.get(transaction) === 'open')?.offset ?? end
  }

  /** Records from `position` on, and the position behind them. */
  read(partition: Partition, position: number, isCommitted: boolean, recordsMax: number): { records: Polled[]; next: number } {
    const { entries, start } = this.#log(partition)
    const bound = isCommitted ? this.lastStableOffset(partition) : this.endOf(partition)
    const records: Polled[] = []
    let next = Math.max(position, start)
    for (const { offset, value, transaction } of entries) {
      if (offset < next || offset >= bound) continue
      if (records.length === recordsMax) return { records, next }
      next = offset + 1
      const isAborted = transaction !== undefined && this.#fates.get(transaction) === 'aborted'
      if (value !== undefined && !(isCommitted && isAborted)) records.push([offset, value])
    }
    return { records, next: Math.max(next, bound) }
  }

  committedOffset(group: string, partition: Partition): number {
    return this.#offsets.get(group)?.get(partition) ?? 0
  }

  #log(partition: Partition): Log {
    let log = this.#logs.get(partition)
    if (log === undefined) this.#logs.set(partition, (log = { entries: [], start: 0, end: 0 }))
    return log
  }

  #apply(row: Row): number {
    if (row.type === 'append') {
      const log = this.#log(row.partition)
      const { value, key, transaction } = row
      if (transaction !== undefined) this.#fates.set(transaction, 'open')
      log.entries.push({
        offset: log.end,
        value,
        ...(key === undefined ? {} : { key }),
        ...(transaction === undefined ? {} : { transaction }),
      })
      return log.end++
    }
    if (row.type === 'end') this.#end(row.transaction, row.isCommit)
    else if (row.type === 'trim') {
      const log = this.#log(row.partition)
      log.start = Math.max(log.start, row.offset)
      log.entries = log.entries.filter(({ offset }) => offset >= log.start)
    } else if (row.type === 'compact') this.#compact(row.partition)
    else if (row.transaction === undefined) this.#setOffsets(row.group, row.positions)
    else {
      this.#fates.set(row.transaction, 'open')
      this.#pendingOffsets.set(row.transaction, [...(this.#pendingOffsets.get(row.transaction) ?? []), row])
    }
    return -1
  }

  #end(transaction: string, isCommit: boolean): void {
    this.#fates.set(transaction, isCommit ? 'committed' : 'aborted')
    for (const log of this.#logs.values())
      if (log.entries.some(entry => entry.transaction === transaction)) log.entries.push({ offset: log.end++ })
    if (isCommit) for (const { group, positions } of this.#pendingOffsets.get(transaction) ?? []) this.#setOffsets(group, positions)
    this.#pendingOffsets.delete(transaction)
  }

  #setOffsets(group: string, positions: Readonly<Record<Partition, number>>): void {
    const offsets = this.#offsets.get(group) ?? new Map<Partition, number>()
    this.#offsets.set(group, offsets)
    for (const [partition, offset] of Object.entries(positions)) offsets.set(partition, offset)
  }

  /** Below the last stable offset: aborted records go, and of each key all but the newest. */
  #compact(partition: Partition): void {
    const log = this.#log(partition)
    const bound = this.lastStableOffset(partition)
    const newest = new Map<string, number>()
    const isAborted = ({ transaction }: Entry): boolean => transaction !== undefined && this.#fates.get(transaction) === 'aborted'
    for (const entry of log.entries)
      if (entry.offset < bound && entry.key !== undefined && !isAborted(entry)) newest.set(entry.key, entry.offset)
    log.entries = log.entries.filter(
      entry => entry.offset >= bound || !(isAborted(entry) || (entry.key !== undefined && newest.get(entry.key) !== entry.offset)),
    )
  }
}

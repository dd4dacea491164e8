/** Which values a reader must see in a range of offsets: what is committed there, less what retention, compaction or a weak durability word may take. */
import { type Analysis, grouped, versionsBetween, type Write } from './analysis.ts'
import type { Partition, Value } from './history.ts'
import type { HistoryRules } from './rules.ts'

export class ExpectedValues {
  readonly #analysis: Analysis
  readonly rules: HistoryRules
  /** For each key of a compacted partition the largest offset of a committed write, and whether there are writes of which nobody knows the offset. */
  readonly #newest = new Map<string, { offset: number; isVague: boolean }>()

  readonly #byPartition: ReadonlyMap<Partition | undefined, readonly Write[]>

  constructor(analysis: Analysis, rules: HistoryRules) {
    this.#analysis = analysis
    this.rules = rules
    this.#byPartition = grouped(
      [...analysis.writes.values()]
        .filter(({ fate }) => fate === 'committed')
        .sort((a, b) => a.unit.doneAt - b.unit.doneAt || a.send.id - b.send.id),
      write => write.partition,
    )
    for (const { send, partition, offset, fate } of analysis.writes.values()) {
      if (send.call.key === undefined || fate === 'aborted') continue
      const place = this.#placeOf(partition, send.call.key)
      const newest = this.#newest.get(place) ?? { offset: -1, isVague: false }
      if (offset === undefined) newest.isVague = true
      else newest.offset = Math.max(newest.offset, offset)
      this.#newest.set(place, newest)
    }
  }

  #placeOf(partition: Partition | undefined, key: string): string {
    return `${partition}\n${key}`
  }

  /** Whether this write may be absent for a poll that completed at `at`. */
  mayBeAbsent(write: Write, at: number): boolean {
    const { partition, offset, send, fate, isGone } = write
    if (fate !== 'committed' || isGone || partition === undefined) return true
    const isTrimmed = (this.#analysis.trims.get(partition) ?? []).some(
      ({ call, invokedAt }) => invokedAt < at && (offset === undefined || offset < call.offset),
    )
    if (isTrimmed) return true
    if (this.rules.isCompacted?.(partition) !== true) return false
    const { key, isTombstone } = send.call
    if (key === undefined) return false
    const newest = this.#newest.get(this.#placeOf(partition, key))
    const isVague = newest?.isVague === true || this.#newest.get(this.#placeOf(undefined, key))?.isVague === true
    return isTombstone === true || isVague || offset === undefined || (newest !== undefined && newest.offset > offset)
  }

  /** Values at offsets in [from, to) that a poll completed at `at` must have seen, by offset. */
  between(partition: Partition, from: number, to: number, at: number): { readonly offset: number; readonly write: Write }[] {
    const found: { offset: number; write: Write }[] = []
    for (const { offset, values } of versionsBetween(this.#analysis.logs.get(partition) ?? [], from, to))
      for (const value of values) {
        const write = this.#analysis.writes.get(value)
        if (write !== undefined && !this.mayBeAbsent(write, at)) found.push({ offset, write })
      }
    return found
  }

  /** Committed writes to a partition, wherever they lie, in the order in which they were known to have taken effect. */
  byTime(partition: Partition): readonly Write[] {
    return this.#byPartition.get(partition) ?? []
  }
}

export function valuesOf(found: readonly { readonly write: Write }[]): Value[] {
  return found.map(({ write }) => write.value)
}

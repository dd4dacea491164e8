/**
 * What all groups have committed, in memory: the fold of the internal topic `__consumer_offsets`. Owned and kept current by `GroupOffsets`.
 */
import type { CommittedOffset, GroupUse } from './offset-format.ts'

/** One partition's committed offset. */
export interface OffsetRow extends CommittedOffset {
  readonly topicId: number
  readonly partition: number
}

interface GroupRows {
  /** By topic id, then by partition. */
  readonly offsets: Map<number, Map<number, CommittedOffset>>
  use: GroupUse | undefined
}

export class OffsetTable {
  readonly #groups = new Map<string, GroupRows>()
  #size = 0

  /** How many rows there are, of both kinds: as many records a compacted log of them has. */
  get size(): number {
    return this.#size
  }

  /** Groups that have a row, in no order. */
  get groups(): string[] {
    return [...this.#groups.keys()]
  }

  get(group: string, topicId: number, partition: number): CommittedOffset | undefined {
    return this.#groups.get(group)?.offsets.get(topicId)?.get(partition)
  }

  /** Whether the group has committed anything. */
  hasOffsets(group: string): boolean {
    return (this.#groups.get(group)?.offsets.size ?? 0) > 0
  }

  use(group: string): GroupUse | undefined {
    return this.#groups.get(group)?.use
  }

  /** All that a group has committed, by topic id and partition. */
  rows(group: string): OffsetRow[] {
    const rows: OffsetRow[] = []
    for (const [topicId, partitions] of this.#groups.get(group)?.offsets ?? [])
      for (const [partition, committed] of partitions) rows.push({ topicId, partition, ...committed })
    return rows.sort((a, b) => a.topicId - b.topicId || a.partition - b.partition)
  }

  /** undefined takes the row away. */
  set(group: string, topicId: number, partition: number, committed: CommittedOffset | undefined): void {
    const rows = committed === undefined ? this.#groups.get(group) : this.#rowsOf(group)
    if (rows === undefined) return
    let partitions = rows.offsets.get(topicId)
    if (committed !== undefined) {
      if (partitions === undefined) rows.offsets.set(topicId, (partitions = new Map()))
      if (!partitions.has(partition)) this.#size++
      partitions.set(partition, committed)
    } else if (partitions?.delete(partition)) {
      this.#size--
      if (partitions.size === 0) rows.offsets.delete(topicId)
      this.#forgetEmpty(group, rows)
    }
  }

  /** undefined takes the row away. */
  setUse(group: string, use: GroupUse | undefined): void {
    const rows = use === undefined ? this.#groups.get(group) : this.#rowsOf(group)
    if (rows === undefined) return
    this.#size += (use === undefined ? 0 : 1) - (rows.use === undefined ? 0 : 1)
    rows.use = use
    this.#forgetEmpty(group, rows)
  }

  #rowsOf(group: string): GroupRows {
    let rows = this.#groups.get(group)
    if (rows === undefined) this.#groups.set(group, (rows = { offsets: new Map(), use: undefined }))
    return rows
  }

  #forgetEmpty(group: string, rows: GroupRows): void {
    if (rows.use === undefined && rows.offsets.size === 0) this.#groups.delete(group)
  }
}

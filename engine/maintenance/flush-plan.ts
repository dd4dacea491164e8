/**
 * Which logs a flush takes and up to where, packed for the way to the worker: ten thousand logs are four arrays and one text, not ten thousand objects
 * that the owner's thread would have to clone.
 */
import { kindNumbers } from '../log/batch-kinds.ts'
import { blockCodecOf } from '../log/block-codec.ts'
import { columnOptionsOf } from '../log/column-options.ts'
import type { LogicalLog } from '../log/logical-log.ts'
import type { ColumnOptions } from '../segment/column-writer.ts'
import { PART_RUN, PART_TOPIC } from '../segment/format.ts'

const flagVersioned = 4
const flagBody = 8
const flagWhole = 16
const flagFirst = 32
const kindMask = 3
/** The codec's id stands above it. */
const codecShift = 6
const nameSeparator = '\u0000'

/** What the worker needs to know of one log. */
export interface FlushLog {
  readonly id: number
  readonly name: string
  /** 1 topic, 2 store. */
  readonly kind: number
  readonly versioned: boolean
  readonly body: boolean
  /** Every record of a run is kept, whether or not somebody sees it: the store has a history. */
  readonly isWhole: boolean
  /** A store that has no run yet: what is written is all there is of its keys, and so it may be the bottom. */
  readonly isFirst: boolean
  /** Id of the codec of a run's blocks. */
  readonly codec: number
  /** Fields that become columns too. */
  readonly columns: ColumnOptions | undefined
  /** Batches that end above it stay (carried elsewhere). */
  readonly limit: number
}

/** Where a log's producer state at the head of its tail is to be had; logs without any are left out. */
export interface FlushProducers {
  readonly logId: number
  readonly bytes?: Uint8Array
  /** The last part, which has it, when the owner did not look yet. */
  readonly path?: string
  readonly part?: number
}

/** Of a log that declares columns. */
export interface FlushColumns extends ColumnOptions {
  readonly logId: number
}

export interface PackedFlushLogs {
  readonly ids: Float64Array
  readonly limits: Float64Array
  readonly flags: Uint16Array
  readonly names: string
  readonly producers: readonly FlushProducers[]
  readonly columns: readonly FlushColumns[]
}

export class FlushPlan {
  readonly #ids: number[] = []
  readonly #limits: number[] = []
  readonly #flags: number[] = []
  readonly #names: string[] = []
  readonly #producers: FlushProducers[] = []
  readonly #columns: FlushColumns[] = []

  get size(): number {
    return this.#ids.length
  }

  /** Stores without a run. */
  get firstRuns(): number {
    return this.#flags.reduce((count, flags) => count + ((flags & flagFirst) === 0 ? 0 : 1), 0)
  }

  /** Logs are added in ascending order of their ids. */
  add(log: LogicalLog, limit: number, isWhole: boolean): void {
    const { versioned, body } = log.definition
    this.#ids.push(log.id)
    this.#limits.push(limit)
    this.#flags.push(
      kindNumbers[log.kind] |
        (versioned === true ? flagVersioned : 0) |
        (body === true ? flagBody : 0) |
        (isWhole ? flagWhole : 0) |
        (log.kind === 'store' && !log.parts.some(part => part.type === PART_RUN) ? flagFirst : 0) |
        (blockCodecOf(log.definition) << codecShift),
    )
    this.#names.push(log.name)
    const columns = columnOptionsOf(log)
    if (columns !== undefined) this.#columns.push({ logId: log.id, ...columns })
    const producers = log.producersAtFlushedEnd()
    if (producers === null) return
    if (producers !== undefined) {
      this.#producers.push({ logId: log.id, bytes: producers })
      return
    }
    const last = log.parts.findLast(part => part.type === PART_TOPIC)
    if (last !== undefined) this.#producers.push({ logId: log.id, path: last.reader.path, part: last.part })
  }

  pack(): PackedFlushLogs {
    return {
      ids: Float64Array.from(this.#ids),
      limits: Float64Array.from(this.#limits),
      flags: Uint16Array.from(this.#flags),
      names: this.#names.join(nameSeparator),
      producers: this.#producers,
      columns: this.#columns,
    }
  }
}

export function unpackFlushLogs(packed: PackedFlushLogs): FlushLog[] {
  const names = packed.names.split(nameSeparator)
  const columns = new Map(packed.columns.map(entry => [entry.logId, entry]))
  return Array.from(packed.ids, (id, i) => {
    const flags = packed.flags[i] as number
    return {
      id,
      name: names[i] as string,
      kind: flags & kindMask,
      versioned: (flags & flagVersioned) !== 0,
      body: (flags & flagBody) !== 0,
      isWhole: (flags & flagWhole) !== 0,
      isFirst: (flags & flagFirst) !== 0,
      codec: flags >>> codecShift,
      columns: columns.get(id),
      limit: packed.limits[i] as number,
    }
  })
}

/** How many segment ids a flush needs at most, that has so many logs, bytes, and stores without a run. */
export function flushOutputsMax(logs: number, bytes: number, firstRuns: number, ownSegmentBytes: number): number {
  const own = Math.ceil(bytes / ownSegmentBytes)
  // A piece has more than the bytes that a log needs for a file of its own, but for the last one of each store.
  return Math.min(logs, own) + 1 + (firstRuns === 0 ? 0 : own + Math.min(firstRuns, own))
}

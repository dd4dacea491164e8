/**
 * Answers of commits and appends. Promises stay lazy: an answer holds the ticket of its frame and creates nothing until somebody looks. Classes, so
 * that the accessors are made once and not with each answer.
 */
import type { FrameTicket } from '../commit-log/ticket.ts'
import { assert } from '../errors.ts'
import type { Appended, Committed, Durability, Log } from './log.ts'

/** One append of a commit, as the committer placed it; several batches of one call answer as one, of which the first names the last. */
interface PlacedAppend {
  readonly log: Log
  readonly baseOffset: number
  readonly endOffset: number
  readonly duplicate: boolean
  readonly last: PlacedAppend | undefined
}

export class CommitAnswer implements Committed {
  readonly sequence: number
  readonly #placed: readonly PlacedAppend[]
  readonly #ticket: FrameTicket
  readonly #durability: Durability
  #appends: Committed['appends'] | undefined

  constructor(sequence: number, placed: readonly PlacedAppend[], ticket: FrameTicket, durability: Durability) {
    this.sequence = sequence
    this.#placed = placed
    this.#ticket = ticket
    this.#durability = durability
  }

  get appends(): Committed['appends'] {
    this.#appends ??= this.#placed.map(({ log, baseOffset, endOffset, duplicate, last }) => ({
      log,
      baseOffset,
      endOffset: last?.endOffset ?? endOffset,
      duplicate: duplicate && (last?.duplicate ?? true),
    }))
    return this.#appends
  }
  get written(): Promise<void> {
    return this.#ticket.written
  }
  get durable(): Promise<void> {
    return this.#ticket.durable
  }
  get acknowledged(): Promise<void> {
    return this.#ticket.acknowledged(this.#durability)
  }
}

class AppendAnswer implements Appended {
  readonly baseOffset: number
  readonly endOffset: number
  readonly duplicate: boolean
  readonly #committed: Committed

  constructor(committed: Committed, baseOffset: number, endOffset: number, duplicate: boolean) {
    this.#committed = committed
    this.baseOffset = baseOffset
    this.endOffset = endOffset
    this.duplicate = duplicate
  }

  get written(): Promise<void> {
    return this.#committed.written
  }
  get durable(): Promise<void> {
    return this.#committed.durable
  }
  get acknowledged(): Promise<void> {
    return this.#committed.acknowledged
  }
}

/** Of a commit with one append; several ready batches answer as one. */
export function appendedOf(committed: Committed): Appended {
  const { appends } = committed
  const first = appends[0]
  const last = appends[appends.length - 1]
  assert(first !== undefined && last !== undefined, 'a commit of an append has an answer')
  return new AppendAnswer(committed, first.baseOffset, last.endOffset, first.duplicate)
}

/** Of a commit without appends: both offsets are the log's end after it. */
export function answerAt(committed: Committed, offset: number): Appended {
  return new AppendAnswer(committed, offset, offset, false)
}

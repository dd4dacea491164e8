/**
 * A logical log of one folder: parts in segments, then a tail in the commit log's arenas.
 *
 *   offsets   startOffset ...... flushedEnd ............ durable ... endOffset
 *   bytes     [ parts of sealed segments ][ tail: slots in arenas of the commit log ]
 *
 * Owned by the database, which makes it when somebody asks for it or when recovery finds batches of it. Writes are built by the committer
 * (`committer.ts`), which then calls `accept`; reads are synchronous. Flushing moves batches from tail to parts without changing a byte or an
 * offset (`flushed`). For a store log the parts are runs in key order, so only the tail can be read by offset, unless the log keeps a body.
 *
 * One file, although long: where a log begins, ends, is durable, released and flushed is one invariant. Waiting, machines and parts have files of
 * their own.
 *
 * Invariants: parts are in offset order and end at `flushedEnd`, where the tail begins; only what is durable and below the high watermark
 * is ever flushed; nothing below the high watermark is truncated.
 */
import { batchBaseOffset, batchProducerId, isControlBatch } from '../batch/record-batch.ts'
import type { Arena } from '../commit-log/arena.ts'
import { STATE_DEAD, STATE_WORD_MASK, STATE_WORD_SHIFT } from '../commit-log/arena.ts'
import type { GatheringBatch } from '../commit-log/gathering-batch.ts'
import { assert, VarveError } from '../errors.ts'
import { answerAt, appendedOf } from './appended.ts'
import { offsetForTimeInBatch } from './batch-kinds.ts'
import { checkObject, checkOffset, checkReadOptions, checkWaitOptions } from './check-arguments.ts'
import type {
  AbortedTransaction,
  Appended,
  AppendOptions,
  Commit,
  Committed,
  DefinedLog,
  Durability,
  EpochEnd,
  LocalLog,
  LogKind,
  LogMetadata,
  LogSlice,
  ReadBound,
  ReadOptions,
  SealedBlock,
  SealedColumns,
  SealedPart,
  StateMachine,
  StoreRecord,
  TopicRecord,
  WaitOptions,
} from './log.ts'
import { MachineRunner, snapshotSlot } from './machine-runner.ts'
import {
  abortedInParts,
  blockInParts,
  columnsInParts,
  epochEndInParts,
  offsetForTimeInParts,
  type PartRef,
  producerStateOfParts,
  readParts,
  readPartsAsync,
  sealedBytesOf,
  sealedPartsOf,
} from './parts.ts'
import { type AbortedEntry, ProducerState } from './producer-state.ts'
import { type ArenaOf, arenaNumberOf, rowOf, slotOf, Tail } from './tail.ts'
import { Waiters } from './waiters.ts'

const bytesMaxDefault = 1 << 20

/** What a logical log needs from its database. */
export interface LogHost {
  readonly arenaOf: ArenaOf
  /** Of the commit log. */
  readonly durableLsn: number
  readonly writtenLsn: number
  readonly poisoned: boolean
  assertOpen(): void
  commit(write: (commit: Commit) => void, options?: { readonly durability?: Durability }): Committed
  metadataOf(logId: number): ReadonlyMap<string, Uint8Array>
  /** See `LocalLog.cleanedTo`. */
  cleanedTo(logId: number): number
  resetLog(log: LogicalLog, offset: number, durability: Durability | undefined): Committed
  /** Live parts of a log, in offset order. */
  partsOf(logId: number): readonly PartRef[]
  /** The log has waiters or a state machine and wants to hear of progress (`advanced`). */
  watch(log: LogicalLog): void
  /** An owner moved a high watermark: what waited for it may be flushed. */
  released(): void
  /** Poisons the database. */
  fail(error: VarveError): void
  /** See `CommitLog.place`. */
  place(gathering: GatheringBatch): void
}

/** Keeps an index over a log's tail and parts (a store's memtables and runs). Called synchronously, in the turn of the change; must not throw. */
export interface TailListener {
  /** A batch was appended: row `row` of the arena's index. */
  accepted(arena: Arena, row: number): void
  /** Batches at the head of the tail lie in parts now, or parts were replaced by others. */
  partsChanged(): void
  /** The tail lost or moved batches: whatever was derived from it is void. */
  tailChanged(): void
  /** Hands keys of up to `count` records of the tail to `visit`. */
  sampleKeys(count: number, visit: (bytes: Uint8Array, start: number, size: number) => void): void
}

/** Where a log stands when its object is made. */
export interface LogStart {
  readonly definition: DefinedLog
  readonly parts: readonly PartRef[]
  readonly startOffset: number
  readonly flushedEnd: number
  /** Entries of earlier frames are void until the reset entry of that frame was seen; 0 when there was no reset. */
  readonly resetLsn: number
  /** Leader epoch at `flushedEnd`, for store logs whose parts do not say. */
  readonly flushedEpoch: number
}

function checkMachine(machine: StateMachine): void {
  checkObject(machine, 'machine')
  for (const verb of ['apply', 'snapshot', 'restore'] as const) {
    if (typeof machine[verb] !== 'function') throw new TypeError(`machine must have a function ${verb}`)
  }
}

export class LogicalLog implements LocalLog {
  readonly id: number
  readonly kind: LogKind
  readonly metadata: LogMetadata
  readonly tail: Tail
  readonly #host: LogHost
  #definition: DefinedLog
  /** undefined: not asked for since they changed. */
  #parts: readonly PartRef[] | undefined
  #startOffset: number
  #flushedEnd: number
  #endOffset: number
  #epoch = -1
  #flushedEpoch: number
  /** First tail index whose batch is not durable / not acknowledged; counted from the tail's head, moved lazily. */
  #durableIndex = 0
  #ackedIndex = 0
  /** Only for 'owner' logs. */
  #ownerHighWatermark: number
  /** End offset of the newest batch that was carried; the tail's places are not in LSN order while it lies above `flushedEnd`. */
  #carriedEnd = 0
  #producers: ProducerState | undefined
  /** Producer state at the flushed end, as the last part stores it; null: it has none; undefined: not looked up yet. */
  #flushedProducers: Uint8Array | null | undefined
  /** Aborted transactions whose markers lie in the tail. */
  #tailAborted: AbortedEntry[] = []
  /** Transactions in the tail whose markers are not durable yet, by marker: readers must not see that they have ended before their word holds. */
  #ending: { readonly firstOffset: number; readonly markerOffset: number }[] = []
  #runner: MachineRunner | undefined
  readonly #waiters = new Waiters()
  #dropped = false
  /** The newest batch of the tail, while it may take more records. */
  gathering: GatheringBatch | undefined
  /** The index that a store keeps over this log; one a log. */
  listener: TailListener | undefined
  /** Counts resets, so that a flush that began before one knows that its parts are void. */
  generation = 0
  /** Recovery: see LogStart.resetLsn. */
  awaitedResetLsn: number

  constructor(host: LogHost, start: LogStart) {
    this.#host = host
    this.#definition = start.definition
    this.id = start.definition.id
    this.kind = start.definition.kind
    this.#parts = start.parts
    this.#startOffset = start.startOffset
    this.#flushedEnd = start.flushedEnd
    this.#endOffset = start.flushedEnd
    this.#ownerHighWatermark = Math.max(start.flushedEnd, start.startOffset)
    this.#flushedEpoch = start.flushedEpoch
    this.awaitedResetLsn = start.resetLsn
    this.tail = new Tail(host.arenaOf)
    this.metadata = {
      get: slot => host.metadataOf(this.id).get(slot),
      set: (slot, value, options) =>
        answerAt(
          this.#host.commit(commit => commit.setMetadata(this, slot, value), options),
          this.#endOffset,
        ),
    }
  }

  isOf(host: LogHost): boolean {
    return this.#host === host
  }

  get name(): string {
    return this.#definition.name
  }
  get definition(): DefinedLog {
    return this.#definition
  }
  get parts(): readonly PartRef[] {
    this.#parts ??= this.#host.partsOf(this.id)
    return this.#parts
  }
  /** Where parts end and the tail begins. Moved by `flushed`. */
  get flushedEnd(): number {
    return this.#flushedEnd
  }
  get ownsHighWatermark(): boolean {
    return this.#definition.highWatermark === 'owner'
  }
  get dropped(): boolean {
    return this.#dropped
  }
  get cleanedTo(): number {
    return this.#host.cleanedTo(this.id)
  }
  sealedParts(bytesMax: number = Number.POSITIVE_INFINITY): SealedPart[] {
    return sealedPartsOf(this.parts, this.#startOffset, bytesMax)
  }
  sealedBytes(from: number, to: number = Number.MAX_SAFE_INTEGER): number {
    return sealedBytesOf(this.parts, from, to)
  }
  blockAt(offset: number): SealedBlock | undefined {
    return offset < this.#flushedEnd ? blockInParts(this.parts, offset) : undefined
  }
  columnsAt(offset: number): SealedColumns | undefined {
    return offset < this.#flushedEnd ? columnsInParts(this.parts, offset) : undefined
  }

  get startOffset(): number {
    if (this.kind === 'store' && this.#definition.body !== true) return Math.max(this.#startOffset, this.#flushedEnd)
    return this.#startOffset
  }
  /** The first offset that counts, whatever can be read: what `trimPrefix` set. */
  get trimmedTo(): number {
    return this.#startOffset
  }
  get endOffset(): number {
    return this.#host.poisoned ? this.durableOffset : this.#endOffset
  }
  get durableOffset(): number {
    const { tail } = this
    const lsn = this.#host.durableLsn
    while (this.#durableIndex < tail.length && tail.lsn(this.#durableIndex) < lsn) this.#durableIndex++
    return this.#durableIndex === tail.length ? this.#endOffset : tail.baseOffset(this.#durableIndex)
  }

  /**
   * The batch at `index` was appended again and is found at `slot` now. It is as durable as it was, even before its new place is: the old place
   * counts until the edit of a flush is durable, and the new one with it. So `durableOffset` must have been read before, and does not fall.
   */
  carried(index: number, slot: number): void {
    this.tail.markDead(index, STATE_DEAD)
    this.tail.replace(index, slot)
    this.#carriedEnd = Math.max(this.#carriedEnd, this.tail.endOffset(index))
    this.listener?.tailChanged()
  }
  get highWatermark(): number {
    if (this.ownsHighWatermark) return this.#ownerHighWatermark
    if (this.#host.poisoned) return this.durableOffset
    const { tail } = this
    const { durableLsn, writtenLsn } = this.#host
    let index = Math.max(this.#ackedIndex, this.#durableIndex)
    while (index < tail.length) {
      const word = (tail.state(index) >> STATE_WORD_SHIFT) & STATE_WORD_MASK
      const lsn = tail.lsn(index)
      if (lsn >= durableLsn && !(word === 1 && lsn < writtenLsn) && word !== 2) break
      index++
    }
    this.#ackedIndex = index
    return index === tail.length ? this.#endOffset : tail.baseOffset(index)
  }
  get lastStableOffset(): number {
    const bound = this.highWatermark
    if (this.kind !== 'topic') return bound
    let stable = Math.min(this.producers.firstOpenOffset() ?? bound, bound)
    if (this.#ending.length > 0) {
      const { durableOffset } = this
      this.#ending = this.#ending.filter(({ markerOffset }) => markerOffset >= durableOffset)
      for (const { firstOffset, markerOffset } of this.#ending) if (markerOffset >= bound) stable = Math.min(stable, firstOffset)
    }
    return stable
  }
  get epoch(): number {
    if (this.#epoch < 0) {
      const { tail } = this
      this.#epoch = tail.length > 0 ? tail.epoch(tail.length - 1) : this.epochOfParts()
    }
    return Math.max(0, this.#epoch)
  }
  /** Newest epoch among what is flushed; 0 before any. */
  epochOfParts(): number {
    return Math.max(this.#flushedEpoch, epochEndInParts(this.parts, Number.MAX_SAFE_INTEGER)?.epoch ?? 0)
  }

  /** State of the log's idempotent producers and open transactions, built when first asked for. */
  get producers(): ProducerState {
    if (this.#producers === undefined) {
      this.placeGathering()
      const stored = this.#flushedProducerBytes()
      const state = stored === null ? new ProducerState() : ProducerState.fromBytes(stored)
      this.#producers = state
      this.#tailAborted = []
      this.#ending = []
      for (let i = 0; i < this.tail.length; i++) this.#foldProducers(i)
    }
    return this.#producers
  }

  /** State of the producers as a truncation to the batch boundary `offset` would leave it, with `head` appended behind it. */
  producersBelow(offset: number, head: Uint8Array | undefined): ProducerState {
    const stored = this.#flushedProducerBytes()
    const state = stored === null ? new ProducerState() : ProducerState.fromBytes(stored)
    const { tail } = this
    for (let i = 0; i < tail.length && tail.endOffset(i) <= offset; i++) state.applyBatch(tail.arena(i).bytes, tail.position(i))
    if (head !== undefined) state.applyBatch(head, 0)
    return state
  }

  #flushedProducerBytes(): Uint8Array | null {
    if (this.#flushedProducers === undefined) this.#flushedProducers = producerStateOfParts(this.parts) ?? null
    return this.#flushedProducers
  }

  #foldProducers(index: number): void {
    const producers = this.#producers
    if (producers === undefined) return
    const { bytes } = this.tail.arena(index)
    const position = this.tail.position(index)
    const firstOffset = isControlBatch(bytes, position) ? producers.openSince(batchProducerId(bytes, position)) : undefined
    if (firstOffset !== undefined) this.#ending.push({ firstOffset, markerOffset: batchBaseOffset(bytes, position) })
    const aborted = producers.applyBatch(bytes, position)
    if (aborted !== undefined) this.#tailAborted.push(aborted)
  }

  // --- writing -----------------------------------------------------------------------------------------------------------------------

  appendRecords(records: readonly TopicRecord[] | readonly StoreRecord[], options: AppendOptions = {}): Appended {
    const committed = this.#host.commit(commit => commit.appendRecords(this, records, options), wordOf(options))
    return appendedOf(committed)
  }

  appendBatches(bytes: Uint8Array, options: AppendOptions & { readonly keepOffsets?: boolean } = {}): Appended {
    const committed = this.#host.commit(commit => commit.appendBatches(this, bytes, options), wordOf(options))
    return appendedOf(committed)
  }

  truncateSuffix(offset: number, options: { readonly durability?: Durability } = {}): Appended {
    return answerAt(
      this.#host.commit(commit => commit.truncateSuffix(this, offset), options),
      this.#endOffset,
    )
  }

  trimPrefix(offset: number, options: { readonly durability?: Durability } = {}): Appended {
    return answerAt(
      this.#host.commit(commit => commit.trimPrefix(this, offset), options),
      this.#endOffset,
    )
  }

  resetTo(offset: number, options: { readonly durability?: Durability } = {}): Appended {
    checkObject(options, 'options')
    return answerAt(this.#host.resetLog(this, offset, options.durability), this.#endOffset)
  }

  advanceHighWatermark(offset: number): void {
    this.#host.assertOpen()
    this.#assertNotDropped()
    if (!this.ownsHighWatermark) throw new TypeError(`log ${this.name}: only logs defined with highWatermark: 'owner' are advanced by hand`)
    if (!Number.isSafeInteger(offset) || offset < this.#ownerHighWatermark || offset > this.durableOffset) {
      throw new RangeError(
        `log ${this.name}: offset ${offset} is not between the high watermark ${this.#ownerHighWatermark} and the durable offset ${this.durableOffset}`,
      )
    }
    this.#ownerHighWatermark = offset
    this.advanced()
    this.#host.released()
  }

  // --- for the committer and recovery ------------------------------------------------------------------------------------------------

  /** A batch was encoded for this log; its index row is `row` of `arena`. */
  accept(arena: Arena, row: number, endOffset: number, epoch: number): void {
    this.tail.push(slotOf(arena.number, row))
    this.#endOffset = endOffset
    this.#epoch = Math.max(epoch, 0)
    this.#foldProducers(this.tail.length - 1)
    this.listener?.accepted(arena, row)
    // The end has moved, and with the word 'none' the high watermark too: nothing else will say so.
    if (this.#waiters.count > 0) this.#waiters.settle(bound => this.boundOffset(bound))
  }

  /** As `accept`, of records that went to a batch that gathers: of no producer. */
  acceptGathered(arena: Arena, gathering: GatheringBatch, endOffset: number): void {
    if (gathering !== this.gathering) {
      this.gathering = gathering
      this.tail.push(slotOf(arena.number, gathering.row))
    }
    this.#endOffset = endOffset
    this.#epoch = gathering.epoch
    if (this.#waiters.count > 0) this.#waiters.settle(bound => this.boundOffset(bound))
  }

  /** Somebody wants the bytes of the whole tail. */
  placeGathering(): void {
    if (this.gathering === undefined) return
    this.#host.place(this.gathering)
    this.gathering = undefined
  }

  /** Recovery met a batch. Returns what is wrong with it, or undefined. */
  recover(arena: Arena, row: number, baseOffset: number, endOffset: number, carried: boolean): string | undefined {
    const slot = slotOf(arena.number, row)
    if (carried) {
      const replaced = this.tail.insert(slot, baseOffset)
      if (replaced !== undefined) this.#host.arenaOf(arenaNumberOf(replaced)).addState(rowOf(replaced), STATE_DEAD)
      this.#carriedEnd = Math.max(this.#carriedEnd, endOffset)
      this.#endOffset = Math.max(this.#endOffset, endOffset)
    } else if (baseOffset < this.#endOffset) {
      return `batch at offset ${baseOffset} where the log goes on at ${this.#endOffset}`
    } else {
      // A gap is filled later by carried batches; `assertContiguous` says so if not.
      this.tail.push(slot)
      this.#endOffset = endOffset
    }
    this.#epoch = -1
    return undefined
  }

  /** After recovery: undefined, or where the tail has a hole. */
  findHole(): number | undefined {
    let expected = this.#flushedEnd
    for (let i = 0; i < this.tail.length; i++) {
      if (this.tail.baseOffset(i) !== expected) return expected
      expected = this.tail.endOffset(i)
    }
    return expected === this.#endOffset ? undefined : expected
  }

  /** Removes batches at and above `offset`, which is a batch boundary. */
  cut(offset: number): void {
    const { tail } = this
    let index = tail.length
    while (index > 0 && tail.baseOffset(index - 1) >= offset) {
      index--
      tail.markDead(index, STATE_DEAD)
    }
    tail.dropFrom(index)
    this.#endOffset = Math.max(Math.min(this.#endOffset, offset), this.#flushedEnd)
    this.#carriedEnd = Math.min(this.#carriedEnd, this.#endOffset)
    this.#durableIndex = Math.min(this.#durableIndex, index)
    this.#ackedIndex = Math.min(this.#ackedIndex, index)
    this.#epoch = -1
    this.#producers = undefined
    this.listener?.tailChanged()
  }

  /** Forgets everything and goes on at `offset`. */
  resetState(offset: number): void {
    this.generation++
    for (let i = 0; i < this.tail.length; i++) this.tail.markDead(i, STATE_DEAD)
    this.tail.dropFrom(0)
    this.#parts = []
    this.#startOffset = offset
    this.#flushedEnd = offset
    this.#endOffset = offset
    this.#ownerHighWatermark = offset
    this.#durableIndex = 0
    this.#ackedIndex = 0
    this.#carriedEnd = 0
    this.#flushedEpoch = 0
    this.#epoch = -1
    this.#producers = undefined
    this.#flushedProducers = undefined
    this.#tailAborted = []
    this.#ending = []
    this.#runner?.reset(offset)
    this.listener?.tailChanged()
  }

  setStartOffset(offset: number): void {
    this.#startOffset = Math.max(this.#startOffset, offset)
    // Only what is released is trimmed.
    this.#ownerHighWatermark = Math.max(this.#ownerHighWatermark, this.#startOffset)
  }

  redefine(definition: DefinedLog): void {
    this.#definition = definition
  }

  /** The log was dropped: waiters end, every later call fails. */
  markDropped(): void {
    this.#dropped = true
    for (let i = 0; i < this.tail.length; i++) this.tail.markDead(i, STATE_DEAD)
    this.tail.dropFrom(0)
    this.#durableIndex = 0
    this.#ackedIndex = 0
    this.#parts = []
    this.listener?.tailChanged()
    this.endWaits(new VarveError('NOT_FOUND', `log ${this.name} was dropped`, { details: { log: this.name } }))
  }

  /** The first `count` tail batches lie in parts now. `producers` is the producer state at their end, null when there is none. */
  flushed(count: number, producers: Uint8Array | null | undefined): void {
    this.#parts = undefined
    if (count === 0) return
    this.#flushedEnd = this.tail.endOffset(count - 1)
    // Only what is released is flushed; after a reopen that is how it is known.
    this.#ownerHighWatermark = Math.max(this.#ownerHighWatermark, this.#flushedEnd)
    this.#flushedEpoch = Math.max(this.#flushedEpoch, this.tail.epoch(count - 1))
    this.tail.dropFirst(count)
    this.#durableIndex = Math.max(0, this.#durableIndex - count)
    this.#ackedIndex = Math.max(0, this.#ackedIndex - count)
    if (this.#tailAborted.length > 0) this.#tailAborted = this.#tailAborted.filter(entry => entry.lastOffset >= this.#flushedEnd)
    this.#flushedProducers = producers
    // The flush has forgotten producers that were silent for long: the state is built from what it stored.
    if (this.#producers?.isEmpty === false) this.#producers = undefined
    this.listener?.partsChanged()
  }

  /** Parts are about to be dropped, and with them perhaps the last that tells the newest epoch. */
  keepEpoch(): void {
    this.#flushedEpoch = this.epochOfParts()
  }

  /** Parts were replaced by others with the same records (consolidation), or dropped. */
  partsChanged(): void {
    this.#parts = undefined
    this.listener?.partsChanged()
  }

  /**
   * True when batches of this log may have to stay in the tail although they are durable: an owner or a machine holds them back, or has held back
   * some that were carried, so that the oldest batches do not lie in the oldest arenas.
   */
  get mayHoldBack(): boolean {
    return this.ownsHighWatermark || this.#waitsForMachine || this.#carriedEnd > this.#flushedEnd
  }

  /** A store log without a body forgets its batches when they are flushed: they wait for the machine that has applied to this log before. */
  get #waitsForMachine(): boolean {
    return (
      this.kind === 'store' && this.#definition.body !== true && this.#runner === undefined && this.metadata.get(snapshotSlot) !== undefined
    )
  }

  /** How many tail batches from the head may be flushed: durable, released, whole. */
  flushable(): number {
    if (this.#waitsForMachine) return 0
    const bound = this.ownsHighWatermark ? Math.min(this.#ownerHighWatermark, this.durableOffset) : this.durableOffset
    const { tail } = this
    let count = 0
    while (count < tail.length && tail.endOffset(count) <= bound) count++
    return count
  }

  /** For the flush task: producer state at the head of the tail; null when there is none; undefined when only the parts know. */
  producersAtFlushedEnd(): Uint8Array | null | undefined {
    return this.kind === 'topic' ? this.#flushedProducers : null
  }

  // --- reading -----------------------------------------------------------------------------------------------------------------------

  boundOffset(bound: ReadBound): number {
    if (bound === 'end') {
      this.placeGathering()
      return this.endOffset
    }
    return bound === 'durable' ? this.durableOffset : this.highWatermark
  }

  read(offset: number, options: ReadOptions = {}): LogSlice {
    const bound = this.#checkRead(offset, options)
    if (bound === undefined) return { kind: this.kind, bytes: new Uint8Array(0), positions: [], nextOffset: offset }
    if (offset < this.#flushedEnd) {
      const slice = readParts(this.parts, this.kind, offset, options.bytesMax ?? bytesMaxDefault, options.into)
      if (slice !== undefined) return slice
    }
    return this.tail.read(
      this.kind,
      Math.max(offset, this.#flushedEnd),
      bound,
      options.bytesMax ?? bytesMaxDefault,
      options.fillChecksums === true,
      options.into,
    )
  }

  /** As `read`, with asynchronous file reads: for data that is probably not in the page cache. */
  async readAsync(offset: number, options: ReadOptions = {}): Promise<LogSlice> {
    const bound = this.#checkRead(offset, options)
    if (bound !== undefined && offset < this.#flushedEnd) {
      const slice = await readPartsAsync(this.parts, this.kind, offset, options.bytesMax ?? bytesMaxDefault, options.into)
      if (slice !== undefined) return slice
    }
    return this.read(offset, options)
  }

  /** The bound when there is something to read at `offset`; undefined when the read is at the bound. */
  #checkRead(offset: number, options: ReadOptions): number | undefined {
    this.#host.assertOpen()
    this.#assertNotDropped()
    checkOffset(offset)
    checkReadOptions(options)
    const { startOffset, endOffset } = this
    if (offset < startOffset || offset > endOffset) {
      throw new VarveError('OFFSET_OUT_OF_RANGE', `log ${this.name} holds offsets ${startOffset} to ${endOffset}, asked for ${offset}`, {
        details: { log: this.name, startOffset, endOffset, actual: offset },
      })
    }
    const bound = this.boundOffset(options.bound ?? 'highWatermark')
    return offset >= bound ? undefined : bound
  }

  offsetForTime(timestamp: number): number | undefined {
    this.#host.assertOpen()
    this.#assertNotDropped()
    if (!Number.isFinite(timestamp)) throw new RangeError(`timestamp must be a number of milliseconds, got ${timestamp}`)
    const bound = this.highWatermark
    const inParts = offsetForTimeInParts(this.parts, this.kind, timestamp, this.startOffset)
    if (inParts !== undefined) return inParts
    const { tail } = this
    for (let i = 0; i < tail.length && tail.endOffset(i) <= bound; i++) {
      if (tail.maxTimestamp(i) < timestamp || tail.endOffset(i) <= this.startOffset) continue
      const found = offsetForTimeInBatch(this.kind, tail.arena(i).bytes, tail.position(i), timestamp, this.startOffset)
      if (found !== undefined) return found
    }
    return undefined
  }

  endOffsetForEpoch(epoch: number): EpochEnd | undefined {
    this.#host.assertOpen()
    this.#assertNotDropped()
    checkOffset(epoch, 'epoch')
    const { tail } = this
    // Newest first: the first batch (from the end) whose epoch is not above the asked one ends the answer.
    let endOffset = this.#endOffset
    for (let i = tail.length - 1; i >= 0; i--) {
      const found = tail.epoch(i)
      if (found <= epoch) return { epoch: found, endOffset }
      endOffset = tail.baseOffset(i)
    }
    const inParts = epochEndInParts(this.parts, epoch)
    return inParts === undefined ? undefined : { epoch: inParts.epoch, endOffset: inParts.endOffset ?? endOffset }
  }

  abortedTransactions(from: number, to: number): AbortedTransaction[] {
    this.#host.assertOpen()
    this.#assertNotDropped()
    checkOffset(from, 'from')
    checkOffset(to, 'to')
    if (this.kind !== 'topic') return []
    void this.producers // builds #tailAborted
    const found = [
      ...abortedInParts(this.parts, from, to),
      ...this.#tailAborted.filter(entry => entry.lastOffset >= from && entry.firstOffset < to),
    ]
    return found
      .sort((a, b) => a.firstOffset - b.firstOffset)
      .map(({ producerId, firstOffset, lastOffset }) => ({ producerId, firstOffset, lastOffset }))
  }

  openTransaction(producerId: number): number | undefined {
    this.#host.assertOpen()
    this.#assertNotDropped()
    return this.kind === 'topic' ? this.producers.openSince(producerId) : undefined
  }

  /** Aborted transactions whose markers are not in parts yet: compaction needs them for data that is. */
  abortedInTail(): readonly AbortedEntry[] {
    void this.producers // builds the list
    return this.#tailAborted
  }

  waitFor(offset: number, options: WaitOptions = {}): Promise<void> {
    try {
      this.#host.assertOpen()
      this.#assertNotDropped()
      checkOffset(offset)
      checkWaitOptions(options)
      options.signal?.throwIfAborted()
    } catch (error) {
      return Promise.reject(error)
    }
    const { bound = 'highWatermark', signal } = options
    if (this.boundOffset(bound) > offset) return Promise.resolve()
    if (this.#host.poisoned) {
      return Promise.reject(
        new VarveError('POISONED', `log ${this.name}: an earlier write failed, no bound moves until the database is reopened`),
      )
    }
    this.#host.watch(this)
    return this.#waiters.wait(offset, bound, signal)
  }

  /** True while somebody must hear of progress. */
  get watched(): boolean {
    return this.#waiters.count > 0 || this.#runner !== undefined
  }

  /** Some bound may have moved. */
  advanced(): void {
    this.#runner?.apply()
    this.#waiters.settle(bound => this.boundOffset(bound))
  }

  endWaits(error: VarveError): void {
    this.#waiters.end(error)
  }

  // --- state machine -----------------------------------------------------------------------------------------------------------------

  /** Attaches the log's state machine, restores it and applies what is released. One a log. */
  attach(machine: StateMachine): void {
    this.#host.assertOpen()
    this.#assertNotDropped()
    checkMachine(machine)
    assert(this.#runner === undefined, 'a log has one state machine', this.name)
    this.#runner = new MachineRunner(this, machine)
    this.#host.watch(this)
    this.#runner.apply()
  }

  get machine(): StateMachine | undefined {
    return this.#runner?.machine
  }
  /** Next offset that the state machine will see; 0 without one. */
  get appliedOffset(): number {
    return this.#runner?.appliedOffset ?? 0
  }
  snapshotBytes(): Uint8Array | undefined {
    return this.metadata.get(snapshotSlot)
  }
  takeSnapshot(): { readonly slot: string; readonly value: Uint8Array } | undefined {
    return this.#runner?.takeSnapshot()
  }
  fail(error: VarveError): void {
    this.#host.fail(error)
  }

  #assertNotDropped(): void {
    if (this.#dropped) throw new VarveError('NOT_FOUND', `log ${this.name} was dropped`, { details: { log: this.name } })
  }
}

/** Of an append's options those that are its commit's. */
function wordOf(options: { readonly durability?: Durability }): { readonly durability?: Durability } | undefined {
  return options?.durability === undefined ? undefined : { durability: options.durability }
}

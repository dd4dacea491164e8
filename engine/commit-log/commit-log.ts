/**
 * The commit log: the one place where everything durable is written first.
 *
 * How a commit travels:
 *   1. `begin` finds room in the open frame of the newest arena (or opens a frame, or an arena); the caller encodes entries there.
 *   2. `end` closes the commit. If its word asks for the disk, a write is scheduled for the end of this turn.
 *   3. While a write is under way, a frame gathers what arrives. When it ends, that frame is sealed (header, checksum) and written: group
 *      commit. A frame that has grown large meanwhile overlaps it. A frame with a 'sync' commit goes through O_DSYNC; when un-synced bytes
 *      lie before it, through write and fdatasync, since O_DSYNC covers its own range only.
 *   4. Completion moves `writtenLsn` and `durableLsn` and settles the frame's ticket.
 * A full arena is sealed: its frames become durable, its owner flushes it to segments and gives it back with `release`.
 *
 * One file, although long: room, order, writing and poison are one invariant. How bytes reach the disk is in `frame-output.ts`, what small appends of a frame
 * share in `gathering-batch.ts`, who waits in `waits.ts`, what the parts hand to each other in `tail-file.ts`.
 *
 * Owned by the database; logs and the committer append through it on the owner's thread. Files come from the pool, one ahead.
 *
 * Invariants: frames are sealed and settled in LSN order; durableLsn <= writtenLsn <= endLsn; after the first failed write or sync
 * nothing is written again (poison). Bounds: `pendingBytesMax` for what waits to be written, `tailBytesMax` for arenas not flushed yet.
 */
import type { TopicBatch } from '../batch/topic-batch.ts'
import { poisonChannel, stallChannel } from '../diagnostics.ts'
import type { Clock, Environment } from '../env/environment.ts'
import { assert, ioError, VarveError } from '../errors.ts'
import type { Durability } from '../log/log.ts'
import { Arena } from './arena.ts'
import { closeLogFile, type FilePool, type LogFile } from './file-pool.ts'
import {
  alignFrame,
  ENTRY_HEADER_BYTES,
  ENTRY_STAGED,
  ENTRY_STAGED_BODY_BYTES,
  FRAME_CHECKSUM,
  FRAME_FLAG_CLOSE,
  FRAME_HEADER_BYTES,
  stagedFileName,
} from './format.ts'
import { sealFrame, writeEntryHeader } from './frame.ts'
import { FrameOutput } from './frame-output.ts'
import { type GatheringBatch, GatheringBatches } from './gathering-batch.ts'
import { Pacer } from './pacer.ts'
import { discardStagedFile, writeStagedFile } from './staging.ts'
import { StallClock } from './stall-clock.ts'
import type { BoundsPassed, CommitLogObserver, CommitLogOptions, CommitLogStart, CommitSpace, PendingFrame, TailFile } from './tail-file.ts'
import { FrameTicket, settledTicket } from './ticket.ts'
import { Waits } from './waits.ts'

function stagedBytes(tail: TailFile): number {
  return tail.staged.reduce((sum, staged) => sum + staged.arena.capacity, 0)
}

function stagedUsed(tail: TailFile): number {
  return tail.staged.reduce((sum, staged) => sum + staged.arena.used, 0)
}

/** What a flush of it has to write. */
function usedBytes(tail: TailFile): number {
  return tail.arena.used + stagedUsed(tail)
}

/** Writes under way at a time: the second one keeps the disk busy while the thread seals and settles. */
const flightsMax = 2
/** A frame overlaps another only when it is large (or an eighth of the largest): small ones gain more by gathering. */
const overlapBytes = 256 * 1024
const spareArenasMax = 6

interface Flight {
  readonly frame: PendingFrame
  readonly overlaps: boolean
  done: boolean
}

export class CommitLog {
  readonly #environment: Environment
  readonly #clock: Clock
  readonly #folder: string
  readonly #options: CommitLogOptions
  readonly #pool: FilePool
  readonly #observer: CommitLogObserver
  readonly #tag: Uint8Array
  readonly #overlapBytesMin: number

  /** Arenas not flushed yet, oldest first. The last one takes new frames, if it is not sealed. */
  readonly #tails: TailFile[]
  #tailBytes = 0
  #nextArenaNumber: number
  #nextStagedNumber: number
  /** Flushed ones whose memory is used again, bytes and index. */
  readonly #spareArenas: Arena[] = []

  #open: PendingFrame | undefined
  /** Batches of the open frame that still take records. */
  readonly #gathering: GatheringBatches = new GatheringBatches()
  #queue: PendingFrame[] = []
  /** Frames whose writes are under way, oldest first; at most two. */
  readonly #inFlight: Flight[] = []
  #scheduled = false
  /** Frames written and not yet durable, in order. */
  #undurable: PendingFrame[] = []
  readonly #waits = new Waits()
  readonly #output = new FrameOutput()
  readonly #pacer: Pacer
  /** Bytes of staged commits that are not flushed. */
  #stagedUsed = 0
  #cancelDue: (() => void) | undefined
  /** See `sealAt`. */
  #sealBytes = Number.POSITIVE_INFINITY

  #sequence: number
  #endLsn: number
  #writtenLsn: number
  #durableLsn: number
  #durableSequence: number
  #pendingBytes = 0
  /** Size of the last commit that found too much waiting: `drain` waits until there is room for it. 0 when there is. */
  #refusedBytes = 0
  #lastChecksum: Uint8Array
  #poison: VarveError | undefined
  #closed = false

  /** The commit being built: restored by `abort`. */
  #building:
    | {
        readonly frame: PendingFrame
        readonly end: number
        readonly entryCount: number
        readonly indexCount: number
        readonly gatheredBytes: number
      }
    | undefined
  #stagedBuild: { readonly arena: Arena; readonly bytesMax: number } | undefined
  #stagedEntryCount = 0
  #stagedEnd = 0

  /** Counters for `stats()`; all only grow. */
  readonly counters = { frames: 0, syncs: 0, frameBytes: 0, commits: 0, stagedCommits: 0, stalls: 0 }
  /** How long writers wait. */
  readonly stalls: StallClock

  constructor(
    environment: Environment,
    folder: string,
    pool: FilePool,
    options: CommitLogOptions,
    observer: CommitLogObserver,
    start: CommitLogStart,
  ) {
    this.#environment = environment
    this.#clock = environment.clock
    this.stalls = new StallClock(environment.clock)
    this.#pacer = new Pacer(environment.clock, options.tailBytesMax)
    this.#folder = folder
    this.#pool = pool
    this.#options = options
    this.#observer = observer
    this.#tag = start.tag
    this.#overlapBytesMin = Math.min(overlapBytes, options.frameBytesMax / 8)
    this.#tails = start.tails
    this.#tailBytes = start.tails.reduce(
      (sum, tail) => tail.staged.reduce((part, staged) => part + staged.arena.capacity, sum + tail.countedBytes),
      0,
    )
    this.#stagedUsed = start.tails.reduce((sum, tail) => sum + stagedUsed(tail), 0)
    this.#nextArenaNumber = start.nextArenaNumber
    this.#nextStagedNumber = start.nextStagedNumber
    this.#sequence = start.sequence
    this.#endLsn = start.endLsn
    this.#writtenLsn = start.endLsn
    this.#durableLsn = start.durableLsn
    this.#durableSequence = start.sequence
    this.#lastChecksum = start.lastChecksum
    assert(start.durableLsn === start.endLsn, 'all that recovery accepted is durable', start.durableLsn, start.endLsn)
  }

  /** Commit sequence after the last commit: the next one begins here. */
  get sequence(): number {
    return this.#sequence
  }
  /** Commit sequence after the last commit that is on the disk. */
  get durableSequence(): number {
    return this.#durableSequence
  }
  /** Everything below is on the disk. */
  get durableLsn(): number {
    return this.#durableLsn
  }
  /** Everything below was handed to the operating system. */
  get writtenLsn(): number {
    return this.#writtenLsn
  }
  get endLsn(): number {
    return this.#endLsn
  }
  get pendingBytes(): number {
    return this.#pendingBytes
  }
  get tailBytes(): number {
    return this.#tailBytes
  }
  get tails(): readonly TailFile[] {
    return this.#tails
  }
  get poison(): VarveError | undefined {
    return this.#poison
  }
  /** True while acknowledgements wait for a flush. */
  get stalled(): boolean {
    return this.#tailBytes > this.#options.tailBytesMax / 2 && this.#tails.length > 1
  }
  get isClosed(): boolean {
    return this.#closed
  }
  /** Bytes of frames that are not in segments yet. */
  get unflushedBytes(): number {
    return this.#endLsn - (this.#tails[0]?.arena.baseLsn ?? this.#endLsn)
  }

  /** The arena of that number, while it is not released. */
  arena(number: number): Arena | undefined {
    for (let i = this.#tails.length - 1; i >= 0; i--) {
      const tail = this.#tails[i] as TailFile
      if (tail.arena.number === number) return tail.arena
      for (const staged of tail.staged) if (staged.arena.number === number) return staged.arena
    }
    return this.#stagedBuild?.arena.number === number ? this.#stagedBuild.arena : undefined
  }

  /**
   * Room for a commit of at most `bytesMax` bytes, entry headers included. Throws CLOSED, POISONED, BUSY, TOO_LARGE, NO_SPACE; then nothing has
   * changed.
   */
  begin(bytesMax: number, passes: BoundsPassed = 'none'): CommitSpace {
    if (this.#closed) throw new VarveError('CLOSED', 'the database is closed')
    // A commit that was being built then may lie there still.
    if (this.#poison !== undefined) throw this.#poisonedError()
    assert(this.#building === undefined && this.#stagedBuild === undefined, 'one commit at a time')
    if (passes !== 'both' && this.#pendingBytes > 0 && this.#pendingBytes + bytesMax > this.#options.pendingBytesMax) {
      this.#refusedBytes = bytesMax
      this.stalls.refused()
      this.#tellStall('refused', 'pendingBytesMax', this.#pendingBytes)
      throw new VarveError(
        'BUSY',
        `${this.#pendingBytes} bytes wait to be written (pendingBytesMax ${this.#options.pendingBytesMax}); await drain() and try again`,
        {
          details: { limit: 'pendingBytesMax', actual: this.#pendingBytes, expected: this.#options.pendingBytesMax },
        },
      )
    }
    const passesTail = passes !== 'none'
    if (bytesMax + FRAME_HEADER_BYTES > this.#options.frameBytesMax) return this.#beginStaged(bytesMax, passesTail)
    const frame = this.#frameWithRoom(bytesMax, passesTail)
    const { end, entryCount } = frame
    this.#building = { frame, end, entryCount, indexCount: frame.tail.arena.indexCount, gatheredBytes: this.#gathering.bytes }
    return { arena: frame.tail.arena, position: frame.end }
  }

  /** LSN of the frame that the commit being built goes into. */
  get buildingLsn(): number {
    const frame = this.#building?.frame
    assert(frame !== undefined, 'a commit is being built')
    return frame.tail.arena.baseLsn + frame.start
  }

  /** Records an entry that was encoded at the current position; the next entry follows its body. */
  addEntry(kind: number, flags: number, logId: number, headerAt: number, bodyEnd: number): void {
    const staged = this.#stagedBuild
    if (staged !== undefined) {
      assert(headerAt === this.#stagedEnd && bodyEnd <= staged.arena.capacity, 'staged entry follows the last', headerAt, bodyEnd)
      writeEntryHeader(staged.arena.view, headerAt, kind, flags, logId, bodyEnd - headerAt - ENTRY_HEADER_BYTES)
      this.#stagedEntryCount++
      this.#stagedEnd = bodyEnd
      return
    }
    const frame = this.#building?.frame
    assert(
      frame !== undefined && headerAt === frame.end && bodyEnd <= frame.tail.arena.capacity,
      'entry follows the last',
      headerAt,
      bodyEnd,
    )
    writeEntryHeader(frame.tail.arena.view, headerAt, kind, flags, logId, bodyEnd - headerAt - ENTRY_HEADER_BYTES)
    frame.entryCount++
    frame.end = bodyEnd
  }

  /**
   * Adds records to the batch of a log that gathers in the open frame, or lets one begin: `known`, if it takes them. Behind all entries of the commit being built, which
   * cannot be taken back after this. `state`: as the index row keeps it. Returns the batch that has them.
   */
  gather(
    known: GatheringBatch | undefined,
    logId: number,
    batch: TopicBatch,
    baseOffset: number,
    epoch: number,
    state: number,
  ): GatheringBatch {
    const frame = this.#building?.frame
    assert(frame !== undefined && frame === this.#open && this.#stagedBuild === undefined, 'a commit is being built in a frame')
    return this.#gathering.add(frame.tail.arena, frame.start, known, logId, batch, baseOffset, epoch, state)
  }

  /** Writes a batch that gathers behind the entries of the open frame: it takes no more. No commit is being built. */
  place(gathering: GatheringBatch): void {
    const frame = this.#open
    if (gathering.isPlaced) return
    assert(frame !== undefined && this.#building === undefined, 'what gathers belongs to the open frame')
    this.#gathering.place(frame, gathering)
  }

  /** As `place`, of all that gather. */
  placeAll(): void {
    if (this.#open !== undefined) this.#gathering.placeAll(this.#open)
  }

  /** Closes the commit, which took `sequences` commit sequences, and schedules what its word asks for. */
  end(durability: Durability, sequences: number): FrameTicket {
    const isStaged = this.#stagedBuild !== undefined
    if (isStaged) this.#endStaged()
    const building = this.#building
    assert(building !== undefined, 'a commit is being built')
    this.#building = undefined
    const { frame } = building
    this.#sequence += sequences
    frame.sequence = this.#sequence
    this.#pendingBytes += frame.end - building.end + this.#gathering.bytes - building.gatheredBytes
    this.#touchEnd(frame)
    this.#prepareAhead(frame.tail)
    this.counters.commits++
    if (durability === 'sync') frame.sync = true
    if (durability !== 'none') {
      frame.write = true
      if (this.#inFlight.length === 0 || this.#endOf(frame) - frame.start >= this.#overlapBytesMin) this.#schedule()
    }
    // Commit records are small: without this, staged memory would wait for its flush until thousands of them fill the arena.
    const isFull = isStaged && stagedBytes(frame.tail) > this.#options.tailBytesMax / 4
    if (isFull || this.#endOf(frame) >= this.#sealBytes) this.sealArena()
    return frame.ticket
  }

  /** A ticket for everything appended so far, written as that word asks. Throws CLOSED, POISONED. */
  endTicket(durability: Durability): FrameTicket {
    if (this.#closed) throw new VarveError('CLOSED', 'the database is closed')
    if (this.#poison !== undefined) throw this.#poisonedError()
    if (this.#durableLsn >= this.#endLsn) return settledTicket
    let frame = this.#open
    if (frame === undefined) {
      const newest = this.#queue.at(-1) ?? this.#inFlight.at(-1)?.frame
      if (newest !== undefined && (newest.sync || durability !== 'sync')) return newest.ticket
      if (newest === undefined && durability !== 'sync') return this.#undurable.at(-1)?.ticket ?? settledTicket
      frame = this.#openFrame(this.#newestWithRoom(0, true))
      this.#touchEnd(frame)
    }
    if (durability === 'sync') frame.sync = true
    if (durability !== 'none') {
      frame.write = true
      this.#schedule()
    }
    return frame.ticket
  }

  /** Takes back what was encoded since `begin`. */
  abort(): void {
    this.#stagedBuild = undefined
    const building = this.#building
    this.#building = undefined
    if (building === undefined) return
    building.frame.end = building.end
    building.frame.entryCount = building.entryCount
    building.frame.tail.arena.indexCount = building.indexCount
    // A frame that somebody waits for stays, though it is empty.
    if (building.entryCount === 0 && this.#gathering.isEmpty && !building.frame.write && this.#open === building.frame)
      this.#open = undefined
  }

  /** Makes everything appended so far durable. */
  async syncAll(): Promise<void> {
    if (this.#closed) throw new VarveError('CLOSED', 'the database is closed')
    await this.#syncAll()
  }

  async #syncAll(): Promise<void> {
    if (this.#poison !== undefined) throw this.#poisonedError()
    if (this.#durableLsn >= this.#endLsn) return
    const frame = this.#open ?? this.#openFrame(this.#newestWithRoom(0, true))
    frame.sync = true
    frame.write = true
    this.#touchEnd(frame)
    const lsn = frame.tail.endLsn
    this.#schedule()
    await this.whenDurable(lsn)
  }

  /** Resolves when everything below `lsn` is on the disk; not held back by back-pressure. */
  whenDurable(lsn: number): Promise<void> {
    if (this.#durableLsn >= lsn) return Promise.resolve()
    if (this.#poison !== undefined) return Promise.reject(this.#poisonedError())
    return this.#waits.forLsn(lsn)
  }

  /** Resolves when less than half of each bound is used: a good moment to go on after BUSY. */
  drain(): Promise<void> {
    if (this.#poison !== undefined) return Promise.reject(this.#poisonedError())
    if (!this.#crowded()) return Promise.resolve()
    this.#writeWaiting()
    return this.#waits.forRoom()
  }

  /** Writes the open frame: it may hold 'none' commits only, which nothing else would write. */
  #writeWaiting(): void {
    if (this.#open === undefined) return
    this.#open.write = true
    this.#schedule()
  }

  /**
   * Seals the newest arena so that it can be flushed, if it holds anything. The next commit opens a new arena. Returns false when there was
   * nothing to seal or no file for a next arena can be had now.
   */
  sealArena(): boolean {
    const tail = this.#tails.at(-1)
    if (tail === undefined || tail.sealed || tail.endLsn === tail.arena.baseLsn) return false
    this.#queueOpen()
    this.#sealTail(tail)
    return true
  }

  /** Arenas are sealed from now on when they hold so many bytes, though there is room for more: smaller flushes. */
  sealAt(bytes: number): void {
    this.#sealBytes = bytes
  }

  /** See `sealAt`; Infinity: when they are full. */
  get sealBytes(): number {
    return this.#sealBytes
  }

  /**
   * Forgets a flushed arena, gives its file back for recycling, removes its staging files. The catalog view must say that it is flushed. Files that
   * cannot be removed or renamed now are swept at the next opening, so that is no failure.
   */
  async release(tail: TailFile): Promise<void> {
    assert(this.#tails[0] === tail && tail.sealed, 'the oldest arena is released first')
    this.#tails.shift()
    this.#tailBytes -= tail.staged.reduce((sum, staged) => sum + staged.arena.capacity, tail.countedBytes)
    this.#stagedUsed -= stagedUsed(tail)
    const next = this.#tails[0]
    this.#pacer.drained(usedBytes(tail), next?.sealed === true ? usedBytes(next) : 0)
    if (tail.arena.leases === 0) this.#keepMemory(tail.arena)
    this.relieve()
    const file = tail.file ?? (await tail.ready)
    const cleaning = [
      ...tail.staged.map(staged => () => discardStagedFile(this.#environment.files, staged)),
      () => closeLogFile(file),
      () => this.#pool.recycle(file.number, file.path, file.size),
    ]
    for (const clean of cleaning) await clean().catch(() => undefined) // see above
  }

  /** Memory that was touched once costs no page faults again. What is kept lies below where acknowledgements are held, so that it adds nothing to a busy writer's. */
  #keepMemory(arena: Arena): void {
    const kept = this.#spareArenas.reduce((sum, spare) => sum + spare.memoryBytes, 0)
    // Smaller ones are of when the files were small: nobody asks for them any more.
    const fits = this.#pool.wants(arena.capacity) && this.#tailBytes + kept + arena.memoryBytes <= this.#options.tailBytesMax / 2
    if (fits && this.#spareArenas.length < spareArenasMax) this.#spareArenas.push(arena)
  }

  /** Writes what waits, then a closing frame, and closes the files. After poison it only closes the files. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#poison === undefined) {
      try {
        await this.#syncAll()
        const tail = this.#newestWithRoom(0, true)
        const frame = this.#openFrame(tail)
        frame.flags = FRAME_FLAG_CLOSE
        frame.sync = true
        frame.write = true
        this.#touchEnd(frame)
        this.#schedule()
        await this.whenDurable(tail.endLsn)
      } catch (error) {
        // Nobody will write what is left: its promises must not wait for ever.
        this.#fail(error)
        throw error
      } finally {
        await this.#closeFiles()
      }
    } else {
      await this.#closeFiles()
    }
  }

  async #closeFiles(): Promise<void> {
    await this.#whenIdle()
    for (const tail of this.#tails) {
      const file = tail.file ?? (await tail.ready.catch(() => undefined)) // a file that never came needs no closing
      if (file !== undefined) await closeLogFile(file)
      for (const staged of tail.staged) await staged.ready.catch(() => undefined) // settled by poison or written; nothing to close
    }
    await this.#pool.close()
    this.#cancelDue?.()
    this.#waits.fail(new VarveError('CLOSED', 'the database was closed'))
  }

  #whenIdle(): Promise<void> {
    return this.#inFlight.length === 0 ? Promise.resolve() : this.#waits.forIdle()
  }

  // --- frames and arenas -------------------------------------------------------------------------------------------------------------

  #frameWithRoom(bytesMax: number, passesTail: boolean): PendingFrame {
    const open = this.#open
    if (open !== undefined) {
      const end = this.#endOf(open)
      const fits = end - open.start + bytesMax <= this.#options.frameBytesMax && end + bytesMax <= open.tail.arena.capacity
      if (fits) return open
      const tail = this.#newestWithRoom(bytesMax, passesTail, open)
      this.#queueOpen()
      return this.#openFrame(tail)
    }
    return this.#openFrame(this.#newestWithRoom(bytesMax, passesTail))
  }

  /** The newest arena, or a new one when a frame of `bytesMax` more bytes does not fit behind `open` (or the last frame). */
  #newestWithRoom(bytesMax: number, passesTail: boolean, open?: PendingFrame): TailFile {
    const newest = this.#tails.at(-1)
    if (newest !== undefined && !newest.sealed) {
      const from = alignFrame(open === undefined ? newest.arena.used : this.#endOf(open))
      if (from + FRAME_HEADER_BYTES + bytesMax <= newest.arena.capacity) return newest
    }
    const size = this.#pool.nextSize(FRAME_HEADER_BYTES + bytesMax)
    if (!passesTail && this.#tails.length > 1 && this.#tailBytes + size > this.#options.tailBytesMax) throw this.#busyTail()
    const failure = this.#pool.preparationFailure
    if (failure !== undefined) {
      this.#pool.prepare()
      throw failure
    }
    if (newest !== undefined && !newest.sealed) {
      if (open !== undefined) this.#queueOpen()
      this.#sealTail(newest)
    }
    return this.#addTail(size)
  }

  #busyTail(): VarveError {
    this.counters.stalls++
    this.stalls.refused()
    this.#tellStall('refused', 'tailBytesMax', this.#tailBytes)
    return new VarveError(
      'BUSY',
      `${this.#tailBytes} bytes wait to be flushed (tailBytesMax ${this.#options.tailBytesMax}); await drain() and try again`,
      {
        details: { limit: 'tailBytesMax', actual: this.#tailBytes, expected: this.#options.tailBytesMax },
      },
    )
  }

  #addTail(size: number): TailFile {
    const found = this.#spareArenas.findIndex(({ capacity }) => capacity === size)
    const spare = found >= 0 ? this.#spareArenas.splice(found, 1)[0] : undefined
    const bytes = spare?.bytes ?? new Uint8Array(new SharedArrayBuffer(size))
    const arena = new Arena(this.#nextArenaNumber++, bytes, this.#endLsn, false, spare?.index)
    const tail: TailFile = {
      arena,
      ready: this.#pool.take(size),
      file: undefined,
      staged: [],
      endLsn: this.#endLsn,
      lastChecksum: this.#lastChecksum,
      lastSequence: this.#sequence,
      openedMs: this.#clock.monotonic(),
      sealed: false,
      countedBytes: size,
    }
    tail.ready.then(
      file => {
        tail.file = file
      },
      () => undefined, // reported by the write that waits for it
    )
    this.#tails.push(tail)
    this.#tailBytes += size
    return tail
  }

  /**
   * The next file is prepared when half of this one is used, or when at the pace so far it would come too late. Not earlier: its zeros cost the writes beside
   * them time, and a small database may never need it.
   */
  #prepareAhead({ arena: { used, capacity }, openedMs }: TailFile): void {
    const full = Math.min(capacity, this.#sealBytes)
    if (used * 8 < full || this.#pool.preparationMs === 0 || this.#pool.preparationFailure !== undefined) return
    const elapsedMs = this.#clock.monotonic() - openedMs
    if (used * 2 > full || (full - used) * elapsedMs < used * this.#pool.preparationMs) this.#pool.prepare()
  }

  #sealTail(tail: TailFile): void {
    tail.sealed = true
    // Memory that nothing was written to is not there.
    this.#tailBytes -= tail.countedBytes - tail.arena.used
    tail.countedBytes = tail.arena.used
    this.#pacer.waits(usedBytes(this.#tails[0] as TailFile))
    this.#observer.sealed(tail)
  }

  #openFrame(tail: TailFile): PendingFrame {
    assert(this.#open === undefined && !tail.sealed, 'no frame is open')
    const start = alignFrame(tail.arena.used)
    const frame: PendingFrame = {
      tail,
      start,
      end: start + FRAME_HEADER_BYTES,
      entryCount: 0,
      sequence: this.#sequence,
      sync: false,
      write: false,
      flags: 0,
      staged: [],
      ticket: new FrameTicket(),
    }
    this.#open = frame
    return frame
  }

  /** Where the frame ends with what gathers for it. */
  #endOf(frame: PendingFrame): number {
    return frame === this.#open ? frame.end + this.#gathering.bytes : frame.end
  }

  #touchEnd(frame: PendingFrame): void {
    const end = this.#endOf(frame)
    frame.tail.arena.used = end
    frame.tail.endLsn = frame.tail.arena.baseLsn + alignFrame(end)
    this.#endLsn = frame.tail.endLsn
  }

  /** Nothing more goes into the open frame. */
  #queueOpen(): void {
    const frame = this.#open
    this.placeAll()
    this.#open = undefined
    if (frame === undefined) return
    if (frame.entryCount === 0 && frame.flags === 0 && !frame.sync) return
    this.#touchEnd(frame)
    this.#queue.push(frame)
    this.#schedule()
  }

  // --- staging -----------------------------------------------------------------------------------------------------------------------

  #beginStaged(bytesMax: number, passesTail: boolean): CommitSpace {
    const bytes = alignFrame(FRAME_HEADER_BYTES + bytesMax)
    if (bytesMax > this.#options.commitBytesMax) {
      throw new VarveError('TOO_LARGE', `a commit of up to ${bytesMax} bytes exceeds commitBytesMax (${this.#options.commitBytesMax})`, {
        details: { limit: 'commitBytesMax', actual: bytesMax, expected: this.#options.commitBytesMax },
      })
    }
    if (!passesTail && this.stalled && this.#tailBytes + bytes > this.#options.tailBytesMax) throw this.#busyTail()
    // The commit record gets a frame of its own, so that earlier commits do not wait for the staging file.
    const tail = this.#newestWithRoom(ENTRY_HEADER_BYTES + ENTRY_STAGED_BODY_BYTES, passesTail, this.#open)
    this.#queueOpen()
    const frame = this.#openFrame(tail)
    this.#building = { frame, end: frame.end, entryCount: 0, indexCount: tail.arena.indexCount, gatheredBytes: 0 }
    const arena = new Arena(this.#nextArenaNumber++, new Uint8Array(new SharedArrayBuffer(bytes)), tail.arena.baseLsn + frame.start, true)
    this.#stagedBuild = { arena, bytesMax }
    this.#stagedEntryCount = 0
    this.#stagedEnd = FRAME_HEADER_BYTES
    return { arena, position: FRAME_HEADER_BYTES }
  }

  #endStaged(): void {
    const { arena } = this.#stagedBuild as { arena: Arena }
    const { frame } = this.#building as { frame: PendingFrame }
    this.#stagedBuild = undefined
    arena.used = this.#stagedEnd
    const number = this.#nextStagedNumber++
    const path = `${this.#folder}/${stagedFileName(number)}`
    const staged = writeStagedFile(this.#environment, this.#folder, path, number, arena, this.#stagedEntryCount, {
      tag: this.#tag,
      sequence: this.#sequence,
      time: this.#clock.now(),
    })
    frame.staged.push(staged)
    frame.tail.staged.push(staged)
    const { view, bytes } = frame.tail.arena
    const headerAt = frame.end
    const body = headerAt + ENTRY_HEADER_BYTES
    view.setUint32(body, number, true)
    view.setUint32(body + 4, 0, true)
    view.setUint32(body + 8, this.#stagedEnd, true)
    view.setUint32(body + 12, 0, true)
    bytes.set(arena.bytes.subarray(FRAME_CHECKSUM, FRAME_CHECKSUM + 8), body + 16)
    this.addEntry(ENTRY_STAGED, 0, 0, headerAt, body + ENTRY_STAGED_BODY_BYTES)
    this.#tailBytes += arena.capacity
    this.#stagedUsed += arena.used
    this.counters.stagedCommits++
  }

  // --- writing -----------------------------------------------------------------------------------------------------------------------

  /** At the end of this turn, so that all appends of the turn share a frame. */
  #schedule(): void {
    if (this.#scheduled || this.#inFlight.length === flightsMax || this.#poison !== undefined) return
    this.#scheduled = true
    queueMicrotask(this.#pumpSoon)
  }

  #pumpSoon = (): void => {
    this.#scheduled = false
    this.#pump()
  }

  /**
   * Starts the next write, if one may start. Usually one is under way at a time and everything else gathers in the next frame; a frame that is large
   * already may overlap it, so that the disk does not wait for the thread. Both are O_DSYNC then, and count in order: a frame is settled when all
   * before it are, and recovery takes none behind one that is missing.
   */
  #pump(): void {
    if (this.#poison !== undefined) return
    assert(this.#building === undefined, 'no commit is half built when a write starts')
    const open = this.#open
    if (
      this.#queue.length === 0 &&
      open?.write === true &&
      (this.#inFlight.length === 0 || this.#endOf(open) - open.start >= this.#overlapBytesMin)
    ) {
      this.#queueOpen()
    }
    const frame = this.#queue[0]
    if (frame === undefined || !this.#mayStart(frame)) return
    this.#queue.shift()
    const flight: Flight = { frame, overlaps: this.#overlaps(frame), done: false }
    this.#inFlight.push(flight)
    if (this.#options.sync === 'inline' && this.#queue.length === 0 && frame.tail.file !== undefined && frame.staged.length === 0) {
      this.#writeInline(flight, frame.tail.file)
      return
    }
    this.#write(frame).then(
      () => this.#writeEnded(flight),
      error => this.#writeFailed(flight, error),
    )
    if (this.#queue.length > 0) this.#schedule()
  }

  #mayStart(frame: PendingFrame): boolean {
    const before = this.#inFlight[0]
    if (before === undefined) return true
    return (
      this.#inFlight.length < flightsMax && before.overlaps && frame.end - frame.start >= this.#overlapBytesMin && this.#overlaps(frame)
    )
  }

  /** True for a frame that goes out through O_DSYNC and waits for nothing else. */
  #overlaps(frame: PendingFrame): boolean {
    return frame.sync && frame.staged.length === 0 && frame.tail.file?.dsync !== undefined && this.#output.isClean
  }

  #writeEnded(flight: Flight): void {
    flight.done = true
    while (this.#inFlight[0]?.done === true) {
      const ended = this.#inFlight.shift() as Flight
      if (this.#poison === undefined) this.#completed(ended.frame)
    }
    if (this.#inFlight.length === 0) this.#waits.idle()
    // What was settled just now may append at once: give it this turn, so that it shares the next frame.
    if (this.#queue.length > 0 || this.#open?.write === true) this.#schedule()
  }

  /** The write ended badly; another one under way may still end, and no longer counts. */
  #writeFailed(flight: Flight, error: unknown): void {
    this.#fail(error)
    this.#writeEnded(flight)
  }

  #seal(frame: PendingFrame): Uint8Array {
    const { arena } = frame.tail
    sealFrame(arena, frame.start, frame.end, {
      flags: frame.flags,
      entryCount: frame.entryCount,
      tag: this.#tag,
      lsn: arena.baseLsn + frame.start,
      durableLsn: this.#durableLsn,
      previousChecksum: this.#lastChecksum,
      sequence: frame.sequence,
      time: this.#clock.now(),
    })
    this.#lastChecksum = arena.bytes.slice(frame.start + FRAME_CHECKSUM, frame.start + FRAME_CHECKSUM + 8)
    frame.tail.lastChecksum = this.#lastChecksum
    frame.tail.lastSequence = frame.sequence
    return arena.bytes.subarray(frame.start, frame.end)
  }

  async #write(frame: PendingFrame): Promise<void> {
    const file = frame.tail.file ?? (await frame.tail.ready)
    for (const staged of frame.staged) await staged.ready
    await this.#output.write(file, this.#seal(frame), frame.start, frame.sync)
  }

  #writeInline(flight: Flight, file: LogFile): void {
    const { frame } = flight
    try {
      this.#output.writeSync(file, this.#seal(frame), frame.start, frame.sync)
    } catch (error) {
      this.#writeFailed(flight, error)
      return
    }
    this.#writeEnded(flight)
  }

  #completed(frame: PendingFrame): void {
    const bytes = frame.end - frame.start
    this.counters.frames++
    this.counters.frameBytes += bytes
    this.#pendingBytes = Math.max(0, this.#pendingBytes - (bytes - FRAME_HEADER_BYTES))
    const lsn = frame.tail.arena.baseLsn + alignFrame(frame.end)
    this.#writtenLsn = lsn
    if (frame.sync) {
      this.counters.syncs++
      this.#durableLsn = lsn
      this.#durableSequence = frame.sequence
      const durable = this.#undurable
      this.#undurable = []
      this.#settle(() => {
        for (const earlier of durable) earlier.ticket.markDurable()
        frame.ticket.markDurable()
      }, frame)
      this.#waits.durable(lsn)
    } else {
      this.#undurable.push(frame)
      this.#settle(() => frame.ticket.markWritten(), frame)
    }
    this.#observer.advanced()
    this.#settleDrain()
  }

  // --- back-pressure -----------------------------------------------------------------------------------------------------------------

  /** Acknowledges a frame: now, or at the pace of flushes, or when one has ended. */
  #settle(run: () => void, frame: PendingFrame): void {
    if (this.stalled && this.#observer.isFlushing()) {
      if (!this.#waits.acknowledge(run, Number.POSITIVE_INFINITY)) return
      this.counters.stalls++
      this.stalls.held()
      this.#tellStall('held', 'tailBytesMax', this.#tailBytes)
      return
    }
    const bytes = frame.end - frame.start + frame.staged.reduce((sum, staged) => sum + staged.arena.used, 0)
    const delayMs = this.#pacer.delayMs(bytes, this.unflushedBytes + this.#stagedUsed)
    if (delayMs > 0) this.stalls.delayed(delayMs)
    this.#waits.acknowledge(run, delayMs === 0 ? 0 : this.#clock.monotonic() + delayMs)
    this.#awaitDue()
  }

  #awaitDue(): void {
    const dueMs = this.#waits.nextDueMs
    if (dueMs === undefined || this.#cancelDue !== undefined) return
    this.#cancelDue = this.#environment.timers.after(Math.max(0, dueMs - this.#clock.monotonic()), this.#letGoDue, true)
  }

  readonly #letGoDue = (): void => {
    this.#cancelDue = undefined
    this.#waits.letGoDue(this.#clock.monotonic())
    this.#awaitDue()
    this.#settleDrain()
  }

  #tellStall(kind: 'held' | 'refused', limit: 'tailBytesMax' | 'pendingBytesMax', bytes: number): void {
    if (!stallChannel.hasSubscribers) return
    stallChannel.publish({ database: this.#folder, kind, limit, bytes, limitBytes: this.#options[limit] })
  }

  /**
   * A flush waits, and something went on behind it: lets the acknowledgements go that wait too, so that writers who honour them go on slowly instead of not at
   * all. Not when the tails are nearly full: what comes then would be refused.
   */
  relieveHeld(): void {
    if (this.#tailBytes <= (this.#options.tailBytesMax * 3) / 4) this.#letGo()
  }

  /** A flush ended, or memory was freed: lets acknowledgements go that waited for it. */
  relieve(): void {
    if (!this.stalled || !this.#observer.isFlushing()) this.#letGo()
    this.#settleDrain()
  }

  #letGo(): void {
    this.#waits.letGo(this.#clock.monotonic())
    this.#awaitDue()
  }

  #crowded(): boolean {
    const { pendingBytesMax } = this.#options
    const pending = this.#pendingBytes
    if (pending === 0 || pending + this.#refusedBytes <= pendingBytesMax) this.#refusedBytes = 0
    return pending > pendingBytesMax / 2 || this.#refusedBytes > 0 || this.stalled
  }

  #settleDrain(): void {
    if (this.#crowded()) return
    this.#waits.roomy()
    if (!this.#waits.isHolding) this.stalls.ended()
  }

  // --- poison ------------------------------------------------------------------------------------------------------------------------

  /** Poisons the writer for a reason that lies outside it. */
  fail(cause: VarveError): void {
    this.#fail(cause)
  }

  /** The first failure ends this writer: what is in memory and not on the disk may or may not be there, only a reopen can tell. */
  #fail(cause: unknown): void {
    if (this.#poison !== undefined) return
    // Readers of what is in memory find all of it.
    this.placeAll()
    const error = ioError(cause, this.#folder, 'writing the commit log')
    this.#poison = error
    const flights = this.#inFlight.map(flight => flight.frame)
    const frames = [...this.#undurable, ...flights, ...this.#queue, ...(this.#open === undefined ? [] : [this.#open])]
    const poisoned = this.#poisonedError()
    this.#cancelDue?.()
    this.#waits.letGoAll()
    this.stalls.ended()
    for (const frame of frames) frame.ticket.fail(poisoned)
    this.#queue = []
    this.#undurable = []
    this.#open = undefined
    this.#waits.fail(poisoned)
    this.#observer.poisoned(poisoned)
    if (poisonChannel.hasSubscribers) poisonChannel.publish({ database: this.#folder, error })
  }

  #poisonedError(): VarveError {
    const cause = this.#poison as VarveError
    return new VarveError(
      'POISONED',
      `an earlier write failed, nothing more is accepted until the database is reopened: ${cause.message}`,
      {
        cause,
        details: cause.details,
      },
    )
  }
}

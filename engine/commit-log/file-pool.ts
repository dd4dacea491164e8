/**
 * The files of the commit log: prepared ahead, taken in order of their numbers, recycled.
 *
 * A file is prepared by writing zeros over its whole length, durably, because a write to blocks that exist needs no metadata and one
 * disk flush (`ftruncate` alone gains nothing: measured). Preparing happens off the opening path, in asynchronous pieces, one file ahead of
 * the writer. Each piece reaches the disk before the next begins: writers beside it wait for one piece, where a sync of the whole file would let them wait 30 ms. Sizes grow from small to large, so that a small database stays small. A recycled file keeps its old bytes: frames of the past
 * have smaller LSNs and another chain of checksums, so recovery cannot take them for new ones.
 *
 * Invariant: a file is given out under its final name `commit-<number>.log`, with that name durable, before the first frame goes into it;
 * numbers grow in the order of `take`.
 */
import type { Environment, File } from '../env/environment.ts'
import { assert, ioError, type VarveError } from '../errors.ts'
import { commitFileName, FRAME_ALIGNMENT, parseCommitLogName, spareFileName, temporaryFileName } from './format.ts'

const zeroPieceBytes = 1 << 20
/** What a slow disk does, so that a file is ready in time: bytes of zeros a millisecond. */
const zeroBytesPerMs = 128 * 1024
const sparesMax = 8
/** Of all preparations: nobody writes it. */
const zeros: Uint8Array = new Uint8Array(zeroPieceBytes)

/** A commit-log file that is open for writing. */
export interface LogFile {
  readonly number: number
  readonly path: string
  readonly size: number
  /** Writes return when the system has the bytes. */
  readonly plain: File
  /** Writes return when the bytes are on the disk; undefined where the system has no such mode. */
  readonly dsync: File | undefined
  /** True while bytes written through `plain` may not be on the disk. Set and cleared by the writer. */
  unsynced: boolean
}

export class FilePool {
  readonly #environment: Environment
  readonly #folder: string
  readonly #fileBytesMax: number
  #nextNumber: number
  /** Size of the next file: grows by 4 up to the maximum. */
  #nextBytes: number
  #spares: { number: number; size: number }[]
  #ahead: Promise<LogFile> | undefined
  #aheadBytes = 0
  #failure: VarveError | undefined
  /** What takes and prepares files, one after the other. */
  #chain: Promise<unknown> = Promise.resolve()
  /** Files that are given back; not behind those that are prepared, which takes longer than a flush. */
  #recycling: Promise<unknown> = Promise.resolve()

  constructor(
    environment: Environment,
    folder: string,
    options: {
      readonly fileBytesFirst: number
      readonly fileBytesMax: number
      readonly nextNumber: number
      readonly spares: readonly { number: number; size: number }[]
    },
  ) {
    this.#environment = environment
    this.#folder = folder
    this.#fileBytesMax = options.fileBytesMax
    this.#nextBytes = options.fileBytesFirst
    this.#nextNumber = options.nextNumber
    this.#spares = [...options.spares]
  }

  /** Size that the next arena (and file) should have when `bytesMin` must fit. */
  nextSize(bytesMin: number): number {
    const size = Math.max(this.#nextBytes, Math.ceil(bytesMin / FRAME_ALIGNMENT) * FRAME_ALIGNMENT)
    this.#nextBytes = Math.min(this.#fileBytesMax, this.#nextBytes * 4)
    return size
  }

  /** Whether a file of that size may be asked for: sizes only grow. */
  wants(size: number): boolean {
    return size >= this.#nextBytes
  }

  /** How long the preparation of the next file may take, ms; 0 when it is under way or done. */
  get preparationMs(): number {
    return this.#ahead === undefined ? this.#nextBytes / zeroBytesPerMs : 0
  }

  /** Starts to prepare the file that the next `take` will want. */
  prepare(): void {
    if (this.#ahead !== undefined) return
    this.#aheadBytes = this.#nextBytes
    const ahead = this.#enqueue(() => this.#make(this.#aheadBytes))
    ahead.then(
      () => {
        this.#failure = undefined
      },
      error => {
        this.#failure = error as VarveError
        if (this.#ahead === ahead) this.#ahead = undefined
      },
    )
    this.#ahead = ahead
  }

  /**
   * Why the last preparation failed (NO_SPACE, IO), until one succeeds: the writer refuses new arenas while it stands, so that a full disk
   * refuses appends cleanly instead of failing a write.
   */
  get preparationFailure(): VarveError | undefined {
    return this.#failure
  }

  /** The next file, at least `size` bytes large. Rejects with NO_SPACE, IO, READ_ONLY; may then be called again. */
  take(size: number): Promise<LogFile> {
    const ahead = this.#ahead
    this.#ahead = undefined
    // One job of the chain, waiting included: a later `take` must not get a lower number while this one retires a file that is too small.
    return this.#enqueue(async () => {
      const file = await ahead?.catch(() => undefined) // it failed; this is the next try
      if (file !== undefined && file.size >= size) return file
      if (file !== undefined) await this.#retire(file)
      return await this.#make(size)
    })
  }

  /** Gives a file back whose frames are all flushed, and recorded as flushed in the catalog view. */
  recycle(number: number, path: string, size: number): Promise<void> {
    const result = this.#recycling.then(() => this.#recycle(number, path, size))
    this.#recycling = result.catch(() => undefined) // as above: the caller has the rejection
    return result
  }

  async #recycle(number: number, path: string, size: number): Promise<void> {
    const { files } = this.#environment
    if (this.#spares.length >= sparesMax || !this.wants(size)) {
      await files.remove(path)
    } else {
      await files.rename(path, `${this.#folder}/${spareFileName(number)}`)
      this.#spares.push({ number, size })
    }
    await files.syncDirectory(this.#folder)
  }

  /**
   * Waits for preparations, closes a file that nobody took, and removes spare files: a closed database takes no room for what it does not hold, and the next
   * opening begins with small files anyway.
   */
  async close(): Promise<void> {
    const ahead = this.#ahead
    this.#ahead = undefined
    await this.#chain
    await this.#recycling
    const file = await ahead?.catch(() => undefined)
    // All best effort: what stays is swept, or used, by the next opening.
    if (file !== undefined) await this.#retire(file).catch(() => undefined)
    const spares = this.#spares.splice(0)
    for (const { number } of spares) await this.#environment.files.remove(`${this.#folder}/${spareFileName(number)}`).catch(() => undefined)
  }

  #enqueue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#chain.then(run)
    this.#chain = result.catch(() => undefined) // the caller has the rejection; the chain only orders
    return result
  }

  async #make(sizeMin: number): Promise<LogFile> {
    const { files } = this.#environment
    const number = this.#nextNumber++
    const path = `${this.#folder}/${commitFileName(number)}`
    const fit = this.#spares.findIndex(spare => spare.size >= sizeMin)
    if (fit >= 0) {
      const spare = this.#spares.splice(fit, 1)[0]
      assert(spare !== undefined, 'spare file')
      try {
        await files.rename(`${this.#folder}/${spareFileName(spare.number)}`, path)
        await files.syncDirectory(this.#folder)
        return await openLogFile(this.#environment, path, number, spare.size)
      } catch (error) {
        throw ioError(error, path, 'recycling a commit-log file')
      }
    }
    const temporary = temporaryFileName(path)
    try {
      await (await files.open(temporary, 'create')).close()
      const file = await files.open(temporary, 'write-dsync')
      try {
        for (let at = 0; at < sizeMin; at += zeroPieceBytes) {
          await file.write(zeros.subarray(0, Math.min(zeroPieceBytes, sizeMin - at)), at)
          if (!file.dsync) await file.sync()
        }
      } finally {
        await file.close()
      }
      await files.rename(temporary, path)
      await files.syncDirectory(this.#folder)
      return await openLogFile(this.#environment, path, number, sizeMin)
    } catch (error) {
      await files.remove(temporary).catch(() => undefined) // it may not exist; recovery sweeps it otherwise
      throw ioError(error, path, 'preparing a commit-log file')
    }
  }

  async #retire(file: LogFile): Promise<void> {
    await closeLogFile(file)
    await this.#recycle(file.number, file.path, file.size)
  }
}

export async function openLogFile(environment: Environment, path: string, number: number, size: number): Promise<LogFile> {
  const plain = await environment.files.open(path, 'write')
  try {
    const dsync = await environment.files.open(path, 'write-dsync')
    if (dsync.dsync) return { number, path, size, plain, dsync, unsynced: false }
    await dsync.close()
    return { number, path, size, plain, dsync: undefined, unsynced: false }
  } catch (error) {
    await plain.close()
    throw error
  }
}

export async function closeLogFile(file: LogFile): Promise<void> {
  try {
    await file.dsync?.close()
  } finally {
    await file.plain.close()
  }
}

/** Sorts the commit log's files of a folder by kind; numbers ascending. Temporary names of ours are listed for removal. */
export function classifyFiles(names: readonly string[]): {
  readonly commits: number[]
  readonly staged: number[]
  readonly spares: number[]
  readonly temporary: string[]
} {
  const found = { commits: [] as number[], staged: [] as number[], spares: [] as number[], temporary: [] as string[] }
  for (const name of names) {
    if (name.endsWith('.tmp')) {
      found.temporary.push(name)
      continue
    }
    const parsed = parseCommitLogName(name)
    if (parsed?.kind === 'commit') found.commits.push(parsed.number)
    else if (parsed?.kind === 'staged') found.staged.push(parsed.number)
    else if (parsed?.kind === 'spare') found.spares.push(parsed.number)
  }
  for (const list of [found.commits, found.staged, found.spares]) list.sort((a, b) => a - b)
  return found
}

/**
 * Sequential buffered output of a segment writer: large writes, nothing read back. What was appended since `hold()` stays in memory in one piece, so that a block
 * can be checksummed when it is complete.
 *
 * Writes block the thread, unless whoever appends can wait now and then (`pace`): then one is under way while the next bytes are made, and the one before reaches the
 * disk meanwhile.
 *
 * Owned by one `SegmentWriter`. Invariant: the bytes below `#written` are in the file, or under way to it; the buffer holds those from there to `position`.
 */
import { xxh64Into } from '../codec/xxh64.ts'
import type { File } from '../env/environment.ts'
import { assert, ioError } from '../errors.ts'
import { giveBytes, takeBytes } from './scratch-memory.ts'

const bufferBytesDefault = 1024 * 1024
const noBytes = new Uint8Array(0)
/**
 * So many bytes, about a buffer, reach the disk before the next are written. A sync of a whole segment at its end would let commits beside it wait for 30 ms and more; so they wait for one.
 */
const pacedBytes = 768 * 1024

export class SegmentOutput {
  readonly #file: File
  #buffer: Uint8Array
  /** Bytes of the buffer in use. */
  #used = 0
  /** File position of the buffer's first byte. */
  #written = 0
  /** Position in the buffer from which on nothing may leave it; -1 when nothing is held. */
  #held = -1

  /** Bytes written since the last sync; counted where the file is to be durable. */
  #unsynced = 0
  /** What `pace` has begun to write, until it is the turn of its sync; never rejects. */
  #underWay: Promise<void> | undefined
  /** The sync of what was written before; never rejects. */
  #syncing: Promise<void> | undefined
  /** Why one of them failed, the first one. */
  #failure: unknown
  readonly #durable: boolean

  /** `durable`: the caller will sync the file in the end. */
  constructor(file: File, bufferBytes: number = bufferBytesDefault, durable: boolean = false) {
    assert(bufferBytes >= 4096, 'output buffer size', bufferBytes)
    this.#file = file
    this.#durable = durable
    this.#buffer = takeBytes(bufferBytes)
  }

  /** File position of the next byte. */
  get position(): number {
    return this.#written + this.#used
  }

  append(source: Uint8Array, start: number = 0, end: number = source.length): void {
    const size = end - start
    if (size > this.#buffer.length - this.#used) {
      if (this.#held < 0 && size >= this.#buffer.length) {
        this.#flush()
        this.#write(source.subarray(start, end))
        this.#written += size
        return
      }
      this.#makeRoom(size)
    }
    this.#buffer.set(start === 0 && end === source.length ? source : source.subarray(start, end), this.#used)
    this.#used += size
  }

  /** From here on bytes stay in the buffer, until `release`. */
  hold(): void {
    assert(this.#held < 0, 'nothing is held')
    this.#held = this.#used
  }

  get heldBytes(): number {
    return this.#held < 0 ? 0 : this.#used - this.#held
  }

  /** What is held; a view, valid until the next call. */
  held(): Uint8Array {
    assert(this.#held >= 0, 'something is held')
    return this.#buffer.subarray(this.#held, this.#used)
  }

  /** Puts other bytes in the place of what is held, and holds these. */
  replaceHeld(bytes: Uint8Array): void {
    assert(this.#held >= 0 && bytes.length <= this.#used - this.#held, 'what is held becomes smaller', bytes.length)
    this.#buffer.set(bytes, this.#held)
    this.#used = this.#held + bytes.length
  }

  /** Ends the hold and writes the checksum of what was held to `target[at]`. */
  release(target: Uint8Array, at: number): void {
    assert(this.#held >= 0, 'something is held')
    xxh64Into(this.#buffer, this.#held, this.#used, target, at)
    this.#held = -1
  }

  /** As `release`, without a checksum. */
  releaseUnchecked(): void {
    assert(this.#held >= 0, 'something is held')
    this.#held = -1
  }

  /**
   * To be called often by whoever can wait, and awaited where there is something to await. Of files that are to be durable it begins to write what has gathered, and
   * waits only for the write before, and for the sync before that. Throws, or rejects, with what these met.
   */
  pace(): Promise<void> | undefined {
    if (!this.#durable || this.#used < pacedBytes) return undefined
    if (this.#underWay !== undefined) return this.#underWay.then(() => this.#beginWrite())
    this.#beginWrite()
    return undefined
  }

  /** Resolves when nothing is under way; to be awaited before `finish`, and before the file is closed. Rejects with what a write has met. */
  async settled(): Promise<void> {
    await this.#underWay
    await this.#syncing
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Hands the buffer over, but for what is held. */
  #beginWrite(): void {
    if (this.#failure !== undefined) throw this.#failure
    const full = this.#buffer
    const size = this.#held < 0 ? this.#used : this.#held
    if (size === 0) return
    const next = takeBytes(full.length)
    next.set(full.subarray(size, this.#used))
    this.#buffer = next
    this.#used -= size
    if (this.#held >= 0) this.#held = 0
    const at = this.#written
    this.#written += size
    this.#underWay = this.#writeAhead(full, size, at)
  }

  async #writeAhead(full: Uint8Array, size: number, at: number): Promise<void> {
    try {
      await this.#file.write(full.subarray(0, size), at)
    } catch (error) {
      this.#failure ??= ioError(error, this.#file.path, 'write')
    }
    giveBytes(full)
    await this.#syncing
    this.#underWay = undefined
    if (this.#failure === undefined) this.#syncing = this.#syncAhead()
  }

  async #syncAhead(): Promise<void> {
    try {
      await this.#file.sync()
    } catch (error) {
      this.#failure ??= ioError(error, this.#file.path, 'sync')
    } finally {
      this.#syncing = undefined
    }
  }

  /** Writes all that is buffered; the last call. */
  finish(): void {
    assert(this.#held < 0 && this.#underWay === undefined && this.#syncing === undefined, 'nothing is held, and nothing under way')
    this.#flush()
    giveBytes(this.#buffer)
    this.#buffer = noBytes
  }

  #makeRoom(size: number): void {
    if (this.#held < 0) this.#flush()
    else if (this.#held > 0) {
      this.#write(this.#buffer.subarray(0, this.#held))
      this.#buffer.copyWithin(0, this.#held, this.#used)
      this.#written += this.#held
      this.#used -= this.#held
      this.#held = 0
    }
    if (size > this.#buffer.length - this.#used) {
      const larger = takeBytes(Math.max(this.#buffer.length * 2, this.#used + size))
      larger.set(this.#buffer.subarray(0, this.#used))
      giveBytes(this.#buffer)
      this.#buffer = larger
    }
  }

  #flush(): void {
    if (this.#used === 0) return
    this.#write(this.#buffer.subarray(0, this.#used))
    this.#written += this.#used
    this.#used = 0
  }

  #write(bytes: Uint8Array): void {
    try {
      this.#file.writeSync(bytes, this.#written)
      this.#unsynced += bytes.length
      if (!this.#durable || this.#unsynced < pacedBytes) return
      this.#unsynced = 0
      this.#file.syncSync()
    } catch (error) {
      throw ioError(error, this.#file.path, 'write')
    }
  }
}

/** Bytes that grow: index sections and tables while a part is written. */
export class ByteBuilder {
  bytes: Uint8Array
  used = 0

  constructor(capacity: number = 1024) {
    this.bytes = takeBytes(capacity)
  }

  /** Makes room for `size` bytes, zeros until written, and returns the position where they go. */
  reserve(size: number): number {
    const at = this.#makeRoom(size)
    this.bytes.fill(0, at, this.used)
    return at
  }

  #makeRoom(size: number): number {
    const at = this.used
    if (at + size > this.bytes.length) {
      const larger = takeBytes(Math.max(this.bytes.length * 2, at + size))
      larger.set(this.bytes.subarray(0, at))
      giveBytes(this.bytes)
      this.bytes = larger
    }
    this.used = at + size
    return at
  }

  append(source: Uint8Array, start: number = 0, end: number = source.length): void {
    const at = this.#makeRoom(end - start)
    this.bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), at)
  }

  /** A view, valid until the next `reserve`. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.used)
  }

  clear(): void {
    this.used = 0
  }

  /** Empty, without memory: views of it are not valid any more. */
  release(): void {
    giveBytes(this.bytes)
    this.bytes = noBytes
    this.used = 0
  }
}

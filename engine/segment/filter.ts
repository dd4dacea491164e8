/**
 * The filter of a run: tells that a key is certainly not in it. A blocked Bloom filter, one 64-byte block per key, 10 bits and 6 probes a key
 * (about 1 % false positives), over the key hash of `store-keys.ts` with seed 0.
 *
 *   filter := kind:u8 (1) probes:u8 zero:u16 blockCount:u32 keyCount:u32 block*        block := 512 bits, bit i is bit i % 8 of byte i / 8
 *   block of a key:  floor(lane0 as unsigned * blockCount / 2^32)
 *   bits of a key:   x = lane1; `probes` times: bit x >>> 23 (unsigned), then x = x * 0x9e3779b1 (low 32 bits)
 *
 * Written with the run's index section, read in place. A run without point records has no filter.
 */
import { createKeyHash, hashKey, type KeyHash } from '../batch/store-keys.ts'
import { damagedBytes } from '../codec/damage.ts'
import { readU32LE, write32LE } from '../codec/fixed-width.ts'
import { assert, VarveError } from '../errors.ts'
import { giveBytes, giveNumbers, takeBytes, takeUint32 } from './scratch-memory.ts'

const headerBytes = 12
const kindBlockedBloom = 1
const blockBytes = 64
const bitsPerKey = 10
const probesPerKey = 6
const step = 0x9e3779b1

/** Keys whose hashes lie in one piece. */
const pieceKeys = 64 * 1024

/**
 * Collects key hashes while a run is written: 8 bytes a key, in pieces, so that ten million keys are 80 MB and never copied. The filter's size is
 * known only at the end, since a merge drops keys.
 */
export class FilterBuilder {
  /** Full pieces, then the open one; small at first, since most runs are. */
  #pieces: Uint32Array[] = [takeUint32(1024)]
  #open: Uint32Array = this.#pieces[0] as Uint32Array
  /** Keys in the open piece; each takes two places. */
  #openCount = 0
  /** Keys added. */
  #count = 0
  #finished: Uint8Array | undefined
  readonly #hash: KeyHash = createKeyHash()

  get keyCount(): number {
    return this.#count
  }

  add(buffer: Uint8Array, keyStart: number, keyBytes: number): void {
    hashKey(buffer, keyStart, keyBytes, this.#hash)
    if (this.#openCount * 2 === this.#open.length) this.#grow()
    const at = this.#openCount * 2
    this.#open[at] = this.#hash[0]!
    this.#open[at + 1] = this.#hash[1]!
    this.#openCount++
    this.#count++
  }

  /** The filter's bytes, valid until `release`; nothing is added after it. */
  finish(): Uint8Array {
    const count = this.#count
    const blockCount = Math.max(1, Math.ceil((count * bitsPerKey) / (blockBytes * 8)))
    const size = headerBytes + blockCount * blockBytes
    this.#finished = takeBytes(size)
    const bytes = this.#finished.subarray(0, size).fill(0)
    bytes[0] = kindBlockedBloom
    bytes[1] = probesPerKey
    write32LE(bytes, 4, blockCount)
    write32LE(bytes, 8, count)
    for (const hashes of this.#pieces) {
      const end = hashes === this.#open ? this.#openCount * 2 : hashes.length
      for (let i = 0; i < end; i += 2) {
        const block = headerBytes + Math.floor((hashes[i]! * blockCount) / 0x1_0000_0000) * blockBytes
        let x = hashes[i + 1]! | 0
        for (let probe = 0; probe < probesPerKey; probe++) {
          const bit = x >>> 23
          bytes[block + (bit >>> 3)]! |= 1 << (bit & 7)
          x = Math.imul(x, step)
        }
      }
    }
    return bytes
  }

  release(): void {
    for (const hashes of this.#pieces) giveNumbers(hashes)
    this.#pieces = []
    if (this.#finished !== undefined) giveBytes(this.#finished)
    this.#finished = undefined
  }

  /** The first piece doubles up to its full size; then pieces are added. */
  #grow(): void {
    const { length } = this.#open
    if (length < pieceKeys * 2) {
      const larger = takeUint32(length * 2)
      larger.set(this.#open)
      giveNumbers(this.#open)
      this.#open = larger
      this.#pieces[this.#pieces.length - 1] = larger
      return
    }
    this.#open = takeUint32(pieceKeys * 2)
    this.#openCount = 0
    this.#pieces.push(this.#open)
  }
}

/** A filter in the bytes of an index section. */
export class Filter {
  readonly keyCount: number
  readonly #bytes: Uint8Array
  readonly #blockCount: number
  readonly #probes: number

  /** Throws CORRUPT when the bytes are no filter, NEWER_FORMAT when they are one of another kind. */
  constructor(bytes: Uint8Array) {
    if (bytes.length < headerBytes) throw damagedBytes('filter is cut off', 0, { actual: bytes.length })
    if (bytes[0] !== kindBlockedBloom) throw new VarveError('NEWER_FORMAT', 'filter of an unknown kind', { details: { actual: bytes[0] } })
    this.#probes = bytes[1]!
    this.#blockCount = readU32LE(bytes, 4)
    this.keyCount = readU32LE(bytes, 8)
    this.#bytes = bytes
    if (this.#probes === 0 || this.#blockCount === 0 || bytes.length !== headerBytes + this.#blockCount * blockBytes) {
      throw damagedBytes('filter size does not match its header', 0, { expected: this.#blockCount, actual: bytes.length })
    }
  }

  get byteLength(): number {
    return this.#bytes.length
  }

  /** False: the key is not in the run. `hash` is its key hash with seed 0. */
  mayContain(hash: KeyHash): boolean {
    assert(hash.length === 2, 'a key hash has two lanes', hash.length)
    const bytes = this.#bytes
    const block = headerBytes + Math.floor(((hash[0]! >>> 0) * this.#blockCount) / 0x1_0000_0000) * blockBytes
    let x = hash[1]!
    for (let probe = this.#probes; probe > 0; probe--) {
      const bit = x >>> 23
      if ((bytes[block + (bit >>> 3)]! & (1 << (bit & 7))) === 0) return false
      x = Math.imul(x, step)
    }
    return true
  }
}

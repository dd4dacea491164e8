/**
 * Entries as bytes, many in one array: what `StoreIterator.nextRaw` gives. No object is made for an entry; whoever copies, hashes, counts or ships entries reads
 * them several times faster than decoded.
 *
 * Owned by one iterator and filled anew by each call. Invariant: `ends` ascends; entry i is `bytes[ends[2i - 1], ends[2i])` for its key, then up to `ends[2i + 1]`
 * for its value, where what comes before the first is 0.
 */

/** Valid until the iterator's next call. Keys are as the store encodes them (docs/FORMAT.md, "Tuple keys"), values as its codec does. */
export interface RawEntries {
  /** Entries in it; 0 only at the end. */
  readonly count: number
  /** Keys and values one after the other; more bytes may follow the last. */
  readonly bytes: Uint8Array
  /** Twice `count` positions in `bytes`: where key 0 ends, value 0, key 1, value 1, … More may follow. */
  readonly ends: Uint32Array
}

const bytesFirst = 64 * 1024

export class RawEntriesBuffer implements RawEntries {
  count = 0
  bytes: Uint8Array = new Uint8Array(bytesFirst)
  ends: Uint32Array
  #used = 0

  constructor(count: number) {
    this.ends = new Uint32Array(2 * count)
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used
  }

  clear(count: number): void {
    this.count = 0
    this.#used = 0
    if (this.ends.length < 2 * count) this.ends = new Uint32Array(2 * count)
  }

  /** Copies an entry whose value lies behind its key, or anywhere else, in `source`. */
  add(source: Uint8Array, keyStart: number, keyBytes: number, valueStart: number, valueBytes: number): void {
    const need = this.#used + keyBytes + valueBytes
    if (need > this.bytes.length) {
      const grown = new Uint8Array(2 * need)
      grown.set(this.bytes.subarray(0, this.#used))
      this.bytes = grown
    }
    const { bytes, ends } = this
    let at = this.#used
    if (valueStart === keyStart + keyBytes) bytes.set(source.subarray(keyStart, valueStart + valueBytes), at)
    else {
      for (let i = 0; i < keyBytes; i++) bytes[at + i] = source[keyStart + i] as number
      if (valueBytes > 0) bytes.set(source.subarray(valueStart, valueStart + valueBytes), at + keyBytes)
    }
    at += keyBytes
    ends[2 * this.count] = at
    ends[2 * this.count + 1] = at + valueBytes
    this.count++
    this.#used = at + valueBytes
  }
}

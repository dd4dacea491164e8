/**
 * Records on their way into a store log: kinds, keys, values and expiries side by side in arrays that are reused, so that a put makes no object.
 *
 * A store fills one, the committer encodes it as one batch (`encode`) once the sequence is known, and the store clears it. Owned by the store
 * (or a transaction); the committer only reads. Invariant: rows `[0, count)` are whole, and their bytes lie in `#bytes` back to back.
 */
import { assert, VarveError } from '../errors.ts'
import { type StoreBatchFacts, StoreBatchWriter, storeBatchHeaderSize } from './store-batch.ts'
import { STORE_BYTES_LIMIT } from './store-format.ts'
import { compareKeys } from './store-keys.ts'
import { storeRecordSize } from './store-record.ts'

const writer = new StoreBatchWriter()
/** Buffer's own, which writes into any Uint8Array. */
const { utf8Write } = Buffer.prototype as unknown as {
  utf8Write(this: Uint8Array, text: string, position: number, bytesMax: number): number
}
const rowsFirst = 64
/** Arrays that grew beyond this for one large batch are let go when it is cleared, bytes. */
const bytesKept = 8 * 1024 * 1024
/** The same for the arrays that have an element or two a row, rows. */
const rowsKept = 64 * 1024

export class StoreWrites {
  /** Records so far. */
  count = 0
  /** True when one of them expires. */
  hasExpiry = false
  /** What `encode` writes at most, bytes. */
  bytesMax: number = storeBatchHeaderSize()
  #bytes: Uint8Array = new Uint8Array(4096)
  #used = 0
  #kinds: Uint8Array = new Uint8Array(rowsFirst)
  /** By row: where the key ends, where the value ends. A key begins where the value before ends. */
  #ends: Uint32Array = new Uint32Array(rowsFirst * 2)
  /** Absolute ms; 0: none. */
  #expiries: Float64Array = new Float64Array(rowsFirst)
  /** The row with the largest key among the first `#compared`. */
  #largest = 0
  #compared = 0

  /** Appends a record; the bytes are copied. `expiry` in absolute ms, 0 for none. A range delete's value is its exclusive end key. */
  add(
    kind: number,
    key: Uint8Array,
    keyStart: number,
    keyBytes: number,
    value: Uint8Array,
    valueStart: number,
    valueBytes: number,
    expiry: number,
  ): void {
    if (this.count === this.#kinds.length) this.#growRows()
    const end = this.#used + keyBytes + valueBytes
    if (end > this.#bytes.length) this.#growBytes(end)
    const bytes = this.#bytes
    copy(key, keyStart, keyBytes, bytes, this.#used)
    const keyEnd = this.#used + keyBytes
    copy(value, valueStart, valueBytes, bytes, keyEnd)
    this.#addRow(kind, keyEnd, end, expiry)
  }

  /**
   * As `add` of a text's UTF-8, which is written where it will lie: a view and a copy less. False, and nothing was added, for a text with a lone
   * surrogate, which has none.
   */
  addText(kind: number, key: Uint8Array, keyBytes: number, text: string, expiry: number): boolean {
    if (this.count === this.#kinds.length) this.#growRows()
    const keyEnd = this.#used + keyBytes
    const room = keyEnd + text.length * 3
    if (room > this.#bytes.length) this.#growBytes(room)
    const bytes = this.#bytes
    copy(key, 0, keyBytes, bytes, this.#used)
    const size = utf8Write.call(bytes, text, keyEnd, room - keyEnd)
    // ASCII alone has as many bytes as units, and no surrogates.
    if (size !== text.length && /\p{Surrogate}/u.test(text)) return false
    this.#addRow(kind, keyEnd, keyEnd + size, expiry)
    return true
  }

  #addRow(kind: number, keyEnd: number, end: number, expiry: number): void {
    const row = this.count
    this.bytesMax += storeRecordSize(Number.MAX_SAFE_INTEGER, keyEnd - this.#used, end - keyEnd, expiry, false)
    this.#kinds[row] = kind
    this.#ends[row * 2] = keyEnd
    this.#ends[row * 2 + 1] = end
    this.#expiries[row] = expiry
    if (expiry > 0) this.hasExpiry = true
    this.#used = end
    this.count = row + 1
  }

  /** The largest key so far; undefined when there is none. Looks at what came since the last call. */
  largestKey(): Uint8Array | undefined {
    if (this.count === 0) return undefined
    let largest = this.key(this.#largest)
    for (let row = this.#compared; row < this.count; row++) {
      const key = this.key(row)
      if (compareKeys(key, 0, key.length, largest, 0, largest.length) <= 0) continue
      largest = key
      this.#largest = row
    }
    this.#compared = this.count
    return largest
  }

  // --- reading rows; views hold until the next `add` or `clear` -------------------------------------------------------------------------

  kind(row: number): number {
    return this.#kinds[row]!
  }

  key(row: number): Uint8Array {
    return this.#bytes.subarray(row === 0 ? 0 : this.#ends[row * 2 - 1]!, this.#ends[row * 2])
  }

  /** A range delete's exclusive end. */
  value(row: number): Uint8Array {
    return this.#bytes.subarray(this.#ends[row * 2], this.#ends[row * 2 + 1])
  }

  /** Absolute ms; 0: none. */
  expiry(row: number): number {
    return this.#expiries[row]!
  }

  clear(): void {
    this.count = 0
    this.#largest = 0
    this.#compared = 0
    this.hasExpiry = false
    this.bytesMax = storeBatchHeaderSize()
    this.#used = 0
    if (this.#bytes.length > bytesKept) this.#bytes = new Uint8Array(4096)
    if (this.#kinds.length <= rowsKept) return
    this.#kinds = new Uint8Array(rowsFirst)
    this.#ends = new Uint32Array(rowsFirst * 2)
    this.#expiries = new Float64Array(rowsFirst)
  }

  /** Writes all records as one batch at `target[position]` and returns the position after it. */
  encode(target: Uint8Array, position: number, facts: StoreBatchFacts): number {
    assert(this.count > 0, 'a batch has records')
    const bytes = this.#bytes
    writer.begin(target, position, facts)
    try {
      let at = 0
      for (let row = 0; row < this.count; row++) {
        const keyEnd = this.#ends[row * 2]!
        const end = this.#ends[row * 2 + 1]!
        writer.add(this.#kinds[row]!, bytes, at, keyEnd - at, bytes, keyEnd, end - keyEnd, this.#expiries[row]!)
        at = end
      }
      return writer.finish()
    } catch (error) {
      writer.abandon()
      throw error
    }
  }

  #growRows(): void {
    const rows = this.#kinds.length * 2
    this.#kinds = grown(this.#kinds, new Uint8Array(rows))
    this.#ends = grown(this.#ends, new Uint32Array(rows * 2))
    this.#expiries = grown(this.#expiries, new Float64Array(rows))
  }

  #growBytes(need: number): void {
    if (need > STORE_BYTES_LIMIT) {
      // No option allows for a commit of so many bytes: told before they are copied.
      throw new VarveError('TOO_LARGE', `writes of ${need} bytes exceed what commitBytesMax can be (${STORE_BYTES_LIMIT})`, {
        details: { limit: 'commitBytesMax', actual: need, expected: STORE_BYTES_LIMIT },
      })
    }
    this.#bytes = grown(this.#bytes, new Uint8Array(Math.max(need, this.#bytes.length * 2)))
  }
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(old: T, larger: T): T {
  larger.set(old)
  return larger
}

/** Short copies byte by byte: a `subarray` and `set` cost more than 40 bytes in a loop. */
function copy(source: Uint8Array, start: number, size: number, target: Uint8Array, at: number): void {
  if (size > 40) target.set(source.subarray(start, start + size), at)
  else for (let i = 0; i < size; i++) target[at + i] = source[start + i]!
}

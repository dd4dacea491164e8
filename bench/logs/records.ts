/**
 * The records that benchmarks write: keys of 16 bytes, values of 100 bytes unless another size is asked for, all different.
 *
 * One source is refilled for each batch, in place: making new objects would measure the garbage collector of the benchmark. Bytes change from
 * record to record, since an engine that skips identical bytes would look too good.
 */

export const keyBytes = 16
export const valueBytes = 100
export const recordBytes: number = keyBytes + valueBytes

export interface BenchRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

export class RecordSource {
  /** Valid until the next `next()`. */
  readonly records: readonly BenchRecord[]
  readonly #bytes: Uint8Array
  readonly #recordBytes: number
  readonly #keys: number
  #counter = 0

  /** With `keys` above 0, so many different keys come again and again, in the order of a multiplicative hash. */
  constructor(count: number, valueSize: number = valueBytes, keys: number = 0) {
    this.#keys = keys
    const recordBytes = keyBytes + valueSize
    this.#recordBytes = recordBytes
    this.#bytes = new Uint8Array(count * recordBytes)
    let state = 0x9e3779b9
    for (let i = 0; i < this.#bytes.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      this.#bytes[i] = state >>> 24
    }
    this.records = Array.from({ length: count }, (_, i) => {
      const at = i * recordBytes
      if (keys > 0) this.#bytes.fill(0, at, at + keyBytes)
      return { key: this.#bytes.subarray(at, at + keyBytes), value: this.#bytes.subarray(at + keyBytes, at + recordBytes) }
    })
  }

  /** The next batch: the same objects with other keys and values. */
  next(): readonly BenchRecord[] {
    const bytes = this.#bytes
    for (let at = 0; at < bytes.length; at += this.#recordBytes) {
      const number = this.#counter++
      const key = this.#keys === 0 ? number : (Math.imul(number, 0x9e3779b1) >>> 0) % this.#keys
      for (let i = 0; i < 4; i++) {
        bytes[at + i] = (key >>> (8 * i)) & 0xff
        bytes[at + keyBytes + i] = (number >>> (8 * i)) & 0xff
      }
    }
    return this.records
  }
}

/**
 * The order of many keys, as their numbers. Stable.
 *
 * 1. Four bytes of each key, those after what all have in common, are a number. Many numbers are sorted by radix, eleven bits at a time; few are packed with their places into doubles,
 *    which the platform sorts without asking back.
 * 2. Keys that agree in these bytes are sorted in the same way by what follows; a handful of them, and those that end there, by comparing them.
 */
import { compareSortKeys } from './sort-key.ts'

/** Places take so many bits of a packed double beside 32 of the key. */
const PLACE_BITS = 21
const PLACES = 2 ** PLACE_BITS
/** Keys that an operator sorts at a time. */
export const SORT_ROWS_MAX: number = PLACES

const RADIX_BITS = 11
const RADIX = 1 << RADIX_BITS
/** From so many keys on, radix passes cost less than the platform's sort. */
const radixCountMin = 4096
/** Groups of so many equal words are compared key by key. */
const compareCountMax = 24
/** Words in a row that whole groups agree in, each after skipping what they have in common; then keys are compared. */
const depthMax = 100

/** Keys back to back: key i is `bytes[starts[i], starts[i + 1])`. */
export function sortOrder(bytes: Uint8Array, starts: Int32Array, count: number): Int32Array {
  return new Order(bytes, starts, count).sorted()
}

class Order {
  readonly #bytes: Uint8Array
  readonly #starts: Int32Array
  readonly #order: Int32Array
  readonly #other: Int32Array
  /** Of the places of the order that are being sorted, four bytes of the key; moved with them. */
  readonly #words: Uint32Array
  readonly #otherWords: Uint32Array
  readonly #counts = new Int32Array(3 * RADIX)

  constructor(bytes: Uint8Array, starts: Int32Array, count: number) {
    this.#bytes = bytes
    this.#starts = starts
    this.#order = new Int32Array(count)
    for (let i = 0; i < count; i++) this.#order[i] = i
    const buffers = count >= radixCountMin ? count : 0
    this.#other = new Int32Array(buffers)
    this.#words = new Uint32Array(count)
    this.#otherWords = new Uint32Array(buffers)
  }

  sorted(): Int32Array {
    this.#sort(0, this.#order.length, 0, 0)
    return this.#order
  }

  /** Sorts places `[from, to)`, whose keys agree in their first `skip` bytes and are in the order of their numbers. */
  #sort(from: number, to: number, skip: number, depth: number): void {
    if (to - from < 2) return
    if (to - from <= compareCountMax || depth > depthMax) {
      this.#compare(from, to)
      return
    }
    const at = skip + this.#common(from, to, skip)
    const [bytes, starts, order, words] = [this.#bytes, this.#starts, this.#order, this.#words]
    let hasEnd = false
    let haveAllEnded = true
    for (let i = from; i < to; i++) {
      const row = order[i] as number
      const start = (starts[row] as number) + at
      const end = starts[row + 1] as number
      if (start < end) haveAllEnded = false
      if (start + 4 <= end) {
        const high = ((bytes[start] as number) << 8) | (bytes[start + 1] as number)
        words[i] = ((high << 16) | ((bytes[start + 2] as number) << 8) | (bytes[start + 3] as number)) >>> 0
      } else {
        hasEnd = true
        words[i] = padded(bytes, start, end)
      }
    }
    if (haveAllEnded) return
    if (to - from >= radixCountMin) this.#radix(from, to)
    else this.#pack(from, to)
    for (let first = from; first < to; ) {
      const word = words[first] as number
      let end = first + 1
      while (end < to && words[end] === word) end++
      // Words of keys that end here have bytes that are none of theirs. The words of a group are not needed any more.
      if (!hasEnd) this.#sort(first, end, at + 4, depth + 1)
      else if (!this.#areShortAlike(first, end, at + 4)) this.#compare(first, end)
      first = end
    }
  }

  /** By three passes over the words; a digit that all have alike takes none. */
  #radix(from: number, to: number): void {
    const counts = this.#counts.fill(0)
    const count = to - from
    let [words, order, nextWords, nextOrder] = [
      this.#words.subarray(from, to),
      this.#order.subarray(from, to),
      this.#otherWords.subarray(0, count),
      this.#other.subarray(0, count),
    ]
    for (let i = 0; i < count; i++) {
      const word = words[i] as number
      ;(counts[word & (RADIX - 1)] as number)++
      ;(counts[RADIX + ((word >>> RADIX_BITS) & (RADIX - 1))] as number)++
      ;(counts[2 * RADIX + (word >>> (2 * RADIX_BITS))] as number)++
    }
    for (let pass = 0; pass < 3; pass++) {
      const shift = pass * RADIX_BITS
      const base = pass * RADIX
      if (counts[base + (((words[0] as number) >>> shift) & (RADIX - 1))] === count) continue
      for (let d = 0, sum = 0; d < RADIX; d++) {
        const of = counts[base + d] as number
        counts[base + d] = sum
        sum += of
      }
      for (let i = 0; i < count; i++) {
        const word = words[i] as number
        const digit = base + ((word >>> shift) & (RADIX - 1))
        const place = counts[digit] as number
        counts[digit] = place + 1
        nextWords[place] = word
        nextOrder[place] = order[i] as number
      }
      ;[words, order, nextWords, nextOrder] = [nextWords, nextOrder, words, order]
    }
    if (order.buffer === this.#order.buffer) return
    this.#order.set(order, from)
    this.#words.set(words, from)
  }

  #pack(from: number, to: number): void {
    const [order, words] = [this.#order, this.#words]
    const packed = new Float64Array(to - from)
    for (let i = from; i < to; i++) packed[i - from] = (words[i] as number) * PLACES + (i - from)
    packed.sort()
    const before = order.slice(from, to)
    for (let i = 0; i < packed.length; i++) {
      const value = packed[i] as number
      const word = Math.floor(value / PLACES)
      words[from + i] = word
      order[from + i] = before[value - word * PLACES] as number
    }
  }

  /** Whether keys that agree in what was padded to `size` bytes are the same altogether. */
  #areShortAlike(from: number, to: number, size: number): boolean {
    const [starts, order] = [this.#starts, this.#order]
    const first = order[from] as number
    const length = (starts[first + 1] as number) - (starts[first] as number)
    if (length > size) return false
    for (let i = from + 1; i < to; i++) {
      const row = order[i] as number
      if ((starts[row + 1] as number) - (starts[row] as number) !== length) return false
    }
    return true
  }

  #compare(from: number, to: number): void {
    if (to - from < 2) return
    const [bytes, starts] = [this.#bytes, this.#starts]
    this.#order.subarray(from, to).sort((a, b) => {
      const order = compareSortKeys(
        bytes,
        starts[a] as number,
        starts[a + 1] as number,
        bytes,
        starts[b] as number,
        starts[b + 1] as number,
      )
      return order !== 0 ? order : a - b
    })
  }

  /** Bytes that all keys have in common behind the first `skip`. */
  #common(from: number, to: number, skip: number): number {
    const [bytes, starts, order] = [this.#bytes, this.#starts, this.#order]
    const row = order[from] as number
    const first = (starts[row] as number) + skip
    let common = (starts[row + 1] as number) - first
    for (let i = from + 1; i < to && common > 0; i++) {
      const other = order[i] as number
      const start = (starts[other] as number) + skip
      const size = Math.min(common, (starts[other + 1] as number) - start)
      let same = 0
      while (same < size && bytes[start + same] === bytes[first + same]) same++
      common = same
    }
    return common
  }
}

/** Fewer than four bytes as the first of a number; what is missing is 0. */
function padded(bytes: Uint8Array, start: number, end: number): number {
  let word = 0
  for (let i = 0; i < 4; i++) word = word * 256 + (start + i < end ? (bytes[start + i] as number) : 0)
  return word
}

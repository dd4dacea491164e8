/**
 * About how many different values there are: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, 2007) with the estimator of O. Ertl ("New cardinality estimation algorithms for HyperLogLog
 * sketches", 2017). A group begins as a small set of hashes, which is exact but for equal hashes; with more than `sparseMax` it becomes 4096 registers of a byte each. The
 * standard error is then 1.04 / sqrt(4096) = 1.6 %. Hashes have 32 bits; what collides is made up for, up to some 10^9 values.
 *
 * State of a group: bytes, four for each hash (little-endian), or the registers, which are recognized by their number. Nulls are passed over.
 */
import { hashVector, mixedHash } from '../group/hash.ts'
import { AnyVector, NumberVector, type Vector } from '../vector/vector.ts'
import type { Aggregator } from './aggregator.ts'

const indexBits = 12
const registerCount = 1 << indexBits
/** Hash bits that make ranks. */
const rankBits = 32 - indexBits
const sparseFirst = 8
const sparseLast = 512
/** More hashes than this are counted by registers. */
const sparseMax = (sparseLast * 3) / 4

export class ApproxCountDistinct implements Aggregator {
  /** A set of hashes by open addressing, 0 being free, or the registers. */
  readonly #groups: (Int32Array | Uint8Array)[] = []
  /** Hashes in the set. */
  readonly #sizes: number[] = []
  #hashes = new Int32Array(0)
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  reserve(groups: number): void {
    while (this.#groups.length < groups) {
      this.#groups.push(new Int32Array(sparseFirst))
      this.#sizes.push(0)
      this.#bytes += 4 * sparseFirst + 64
    }
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input === undefined) return
    if (this.#hashes.length < count) this.#hashes = new Int32Array(count)
    hashVector(input, rows, count, this.#hashes, false)
    for (let k = 0; k < count; k++) {
      if (!input.isNull(rows[k] as number)) this.#addHash(groups[k] as number, mixedHash(this.#hashes[k] as number)) // hashes of neighbours are not independent
    }
  }

  states(from: number, to: number): Vector[] {
    const states = this.#groups.slice(from, to).map(group => {
      if (group instanceof Uint8Array) return group.slice()
      const hashes = group.filter(hash => hash !== 0)
      const bytes = new Uint8Array(4 * hashes.length)
      const view = new DataView(bytes.buffer)
      for (const [i, hash] of hashes.entries()) view.setInt32(4 * i, hash, true)
      return bytes
    })
    return [new AnyVector(states)]
  }

  merge([state]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    for (let k = 0; k < count; k++) {
      const group = groups[k] as number
      const bytes = (state as Vector).get(rows[k] as number) as Uint8Array
      if (bytes.length === registerCount) {
        const registers = this.#registersOf(group)
        for (let i = 0; i < registerCount; i++) if ((bytes[i] as number) > (registers[i] as number)) registers[i] = bytes[i] as number
      } else {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
        for (let at = 0; at < bytes.length; at += 4) this.#addHash(group, view.getInt32(at, true))
      }
    }
  }

  results(from: number, to: number): Vector {
    const values = new Float64Array(to - from)
    for (let i = 0; i < values.length; i++) {
      const group = this.#groups[from + i]
      values[i] = group instanceof Uint8Array ? estimate(group) : (this.#sizes[from + i] as number)
    }
    return new NumberVector(values)
  }

  #addHash(group: number, given: number): void {
    const hash = given === 0 ? 1 : given
    const set = this.#groups[group] as Int32Array | Uint8Array
    if (set instanceof Uint8Array) {
      raise(set, hash)
      return
    }
    const slot = slotOf(set, hash)
    if (set[slot] === hash) return
    set[slot] = hash
    const size = ++(this.#sizes[group] as number)
    if (size * 4 <= set.length * 3) return
    if (size > sparseMax) this.#registersOf(group)
    else {
      const grown = new Int32Array(2 * set.length)
      for (const one of set) if (one !== 0) grown[slotOf(grown, one)] = one
      this.#groups[group] = grown
      this.#bytes += 4 * set.length
    }
  }

  #registersOf(group: number): Uint8Array {
    const set = this.#groups[group] as Int32Array | Uint8Array
    if (set instanceof Uint8Array) return set
    const registers = new Uint8Array(registerCount)
    for (const hash of set) if (hash !== 0) raise(registers, hash)
    this.#groups[group] = registers
    this.#bytes += registerCount - set.byteLength
    return registers
  }
}

/** Where the hash is, or would be. */
function slotOf(set: Int32Array, hash: number): number {
  const mask = set.length - 1
  let slot = hash & mask
  while (set[slot] !== 0 && set[slot] !== hash) slot = (slot + 1) & mask
  return slot
}

function raise(registers: Uint8Array, hash: number): void {
  const index = hash >>> rankBits
  const rank = Math.min(Math.clz32(hash << indexBits) + 1, rankBits + 1)
  if (rank > (registers[index] as number)) registers[index] = rank
}

/** Ertl's estimate of the number of different hashes, and of the values behind them. */
function estimate(registers: Uint8Array): number {
  const counts = new Float64Array(rankBits + 2)
  for (const rank of registers) counts[rank] = (counts[rank] as number) + 1
  let z = registerCount * tau(1 - (counts[rankBits + 1] as number) / registerCount)
  for (let rank = rankBits; rank >= 1; rank--) z = 0.5 * (z + (counts[rank] as number))
  z += registerCount * sigma((counts[0] as number) / registerCount)
  const hashes = (registerCount * registerCount) / (2 * Math.LN2 * z)
  // So many values have so many different hashes of 32 bits.
  return Math.round(-(2 ** 32) * Math.log1p(-Math.min(hashes, 0.999 * 2 ** 32) / 2 ** 32))
}

function sigma(given: number): number {
  if (given === 1) return Number.POSITIVE_INFINITY
  let [x, y, z, before] = [given, 1, given, Number.NaN]
  while (z !== before) {
    x *= x
    before = z
    z += x * y
    y += y
  }
  return z
}

function tau(given: number): number {
  if (given === 0 || given === 1) return 0
  let [x, y, z, before] = [given, 1, 1 - given, Number.NaN]
  while (z !== before) {
    x = Math.sqrt(x)
    before = z
    y *= 0.5
    z -= (1 - x) ** 2 * y
  }
  return z / 3
}

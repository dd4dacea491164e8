/**
 * The range deletes of a memtable: which is the newest one that covers a key, as of a sequence?
 *
 * Owned by one memtable. Range deletes are numbered as they were added, so that the larger number has the larger sequence.
 * 1. The newest few are looked at one by one.
 * 2. Those before them lie in trees over neighbouring numbers: sorted by first key, each node with the largest end and the largest number below
 *    it. A search leaves out what ends at or before the key and what is older than what it has found.
 * 3. A tree has 16, 64, 256, 1024 or 4,096 range deletes and begins at a multiple of its size; four that fill a larger one become it. So there
 *    are few, and making one is short. They are made when they are first needed, by each thread for itself.
 *
 * Invariant: positions below `count` never change; growing makes a new buffer. They are shared memory.
 */
import { compareKeys } from '../batch/store-keys.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'

const treeSizeFirst = 16
const treeSizeMax = 4096
const fanIn = 4

/** Number `first + i` for i in [0, size) is in the tree. Node `middle` of [from, to) has [from, middle) and (middle, to) below it. */
interface RangeTree {
  readonly first: number
  readonly size: number
  /** Numbers, by first key, of equal ones the newest first. */
  readonly numbers: Uint32Array
  /** By node: the number with the largest end, and the largest number, of the node and all below it. */
  readonly farthest: Uint32Array
  readonly newest: Uint32Array
}

export class MemtableRangeDeletes {
  readonly #bytes: Uint8Array
  #positions: Uint32Array
  #count: number
  /** Position after the last range delete. */
  #limit: number
  #trees: RangeTree[] = []
  readonly #left = new StoreRecordCursor()
  readonly #right = new StoreRecordCursor()
  /** The search under way: its key, the number it must stay below, and the largest covering number so far. */
  #key: Uint8Array = new Uint8Array(0)
  #keyStart = 0
  #keyBytes = 0
  #below = 0
  #found = -1

  /** `positions` of `count` range deletes in `bytes`, all below `limit`: of another one, or none. */
  constructor(bytes: Uint8Array, positions: Uint32Array = newPositions(0), count: number = 0, limit: number = 0) {
    this.#bytes = bytes
    this.#positions = positions
    this.#count = count
    this.#limit = limit
  }

  get count(): number {
    return this.#count
  }

  get positions(): Uint32Array {
    return this.#positions
  }

  /** Memory of positions and trees. */
  get bytes(): number {
    let total = this.#positions.byteLength
    for (const tree of this.#trees) total += tree.size * 12
    return total
  }

  /** Adds the range delete on which `record` stands; it is the newest. */
  add(record: StoreRecordCursor): void {
    const number = this.#count
    if (number === this.#positions.length) {
      const larger = newPositions(Math.max(treeSizeFirst, number * 2))
      larger.set(this.#positions)
      this.#positions = larger
    }
    this.#positions[number] = record.start
    this.#limit = Math.max(this.#limit, record.end)
    this.#count = number + 1
  }

  /** The largest sequence <= `sequenceMax` of a range delete that covers the key; -1 when there is none. */
  covering(key: Uint8Array, start: number, size: number, sequenceMax: number): number {
    if (this.#count === 0) return -1
    this.#key = key
    this.#keyStart = start
    this.#keyBytes = size
    this.#below = this.#countUpTo(sequenceMax)
    this.#found = -1
    const trees = this.#currentTrees()
    const last = trees.at(-1)
    const treed = last === undefined ? 0 : last.first + last.size
    for (let number = this.#below - 1; number >= treed; number--) {
      if (this.#startsAtOrBefore(number) && this.#endsBehind(number)) return this.#sequenceOf(number)
    }
    for (let i = trees.length - 1; i >= 0 && this.#found < 0; i--) this.#search(trees[i]!, 0, trees[i]!.size)
    return this.#found < 0 ? -1 : this.#sequenceOf(this.#found)
  }

  #search(tree: RangeTree, from: number, to: number): void {
    if (from >= to) return
    const middle = (from + to) >>> 1
    if (tree.newest[middle]! <= this.#found || !this.#endsBehind(tree.farthest[middle]!)) return
    this.#search(tree, from, middle)
    const number = tree.numbers[middle]!
    if (!this.#startsAtOrBefore(number)) return
    if (number < this.#below && number > this.#found && this.#endsBehind(number)) this.#found = number
    this.#search(tree, middle + 1, to)
  }

  #read(record: StoreRecordCursor, number: number): StoreRecordCursor {
    record.readAt(this.#bytes, this.#positions[number]!, this.#limit)
    return record
  }

  #sequenceOf(number: number): number {
    return this.#read(this.#left, number).sequence
  }

  #startsAtOrBefore(number: number): boolean {
    const record = this.#read(this.#left, number)
    return compareKeys(this.#key, this.#keyStart, this.#keyBytes, this.#bytes, record.keyStart, record.keyBytes) >= 0
  }

  #endsBehind(number: number): boolean {
    const record = this.#read(this.#left, number)
    return compareKeys(this.#key, this.#keyStart, this.#keyBytes, this.#bytes, record.valueStart, record.valueBytes) < 0
  }

  /** How many range deletes have a sequence of at most `sequenceMax`. */
  #countUpTo(sequenceMax: number): number {
    let from = 0
    let to = this.#count
    if (this.#sequenceOf(to - 1) <= sequenceMax) return to
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.#sequenceOf(middle) <= sequenceMax) from = middle + 1
      else to = middle
    }
    return from
  }

  /** Trees over all but the newest few. */
  #currentTrees(): readonly RangeTree[] {
    const trees = this.#trees
    let next = 0
    for (const tree of trees) next += tree.size
    while (this.#count - next >= treeSizeFirst) {
      let first = next
      let size = treeSizeMax
      while (size > this.#count - next || first % size !== 0) size /= fanIn
      next += size
      while (size < treeSizeMax && next % (size * fanIn) === 0) {
        trees.length -= fanIn - 1
        size *= fanIn
        first = next - size
      }
      trees.push(this.#makeTree(first, size))
    }
    return trees
  }

  #makeTree(first: number, size: number): RangeTree {
    const numbers = Uint32Array.from({ length: size }, (_, i) => first + i).sort((left, right) => this.#compareStarts(left, right))
    const tree = { first, size, numbers, farthest: new Uint32Array(size), newest: new Uint32Array(size) }
    this.#fillNodes(tree, 0, size)
    return tree
  }

  #fillNodes(tree: RangeTree, from: number, to: number): void {
    const middle = (from + to) >>> 1
    let farthest = tree.numbers[middle]!
    let newest = farthest
    for (let side = 0; side < 2; side++) {
      const sideFrom = side === 0 ? from : middle + 1
      const sideTo = side === 0 ? middle : to
      if (sideFrom >= sideTo) continue
      this.#fillNodes(tree, sideFrom, sideTo)
      const child = (sideFrom + sideTo) >>> 1
      newest = Math.max(newest, tree.newest[child]!)
      if (this.#compareEnds(farthest, tree.farthest[child]!) < 0) farthest = tree.farthest[child]!
    }
    tree.farthest[middle] = farthest
    tree.newest[middle] = newest
  }

  #compareStarts(left: number, right: number): number {
    const { keyStart, keyBytes } = this.#read(this.#left, left)
    const other = this.#read(this.#right, right)
    return compareKeys(this.#bytes, keyStart, keyBytes, this.#bytes, other.keyStart, other.keyBytes) || right - left
  }

  #compareEnds(left: number, right: number): number {
    const { valueStart, valueBytes } = this.#read(this.#left, left)
    const other = this.#read(this.#right, right)
    return compareKeys(this.#bytes, valueStart, valueBytes, this.#bytes, other.valueStart, other.valueBytes)
  }
}

function newPositions(count: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(count * 4))
}

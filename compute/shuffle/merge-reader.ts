/**
 * Reads a range of keys of the sorted runs that the tasks of another stage wrote, as rows in order; equal ones in the order of the tasks, and of a task as they came.
 *
 * A tree of losers over the runs' next rows: each has the number that some bytes of its key make, behind what all keys have in common; only equal numbers ask for the keys. Of each run one block is in
 * memory, whose bytes are used again for the next.
 */
import { assert, damagedBytes, type File, type Files, xxh64Low32 } from '../../engine/index.ts'
import { ValueRows } from '../rows/chunk-data.ts'
import { EncodedReader } from '../rows/encoded-rows.ts'
import { compareSortKeys } from '../sort/sort-key.ts'
import type { Needs, SplitReader } from '../source/source.ts'
import { decodeBlock } from '../vector/block.ts'
import { CHUNK_ROWS, Chunk } from '../vector/chunk.ts'
import { wordsOf } from '../vector/gather-bytes.ts'
import type { RowCodec } from '../vector/row-codec.ts'
import type { EncodedVector, TextVector } from '../vector/vector.ts'
import type { StoredBlock } from './exchange.ts'
import type { MergeInput, MergeRun } from './key-ranges.ts'

/** Rows of a chunk end after about so many bytes. */
const chunkBytesMax = 512 << 10

export interface MergeReaderOptions {
  readonly input: MergeInput
  readonly needs: Needs
  readonly files: Files
}

export class MergeReader implements SplitReader {
  bytesRead = 0
  readonly #needs: Needs
  readonly #files = new Map<string, File>()
  readonly #cursors: readonly Cursor[]
  /** Of each run the number of its next row's key; infinite after the last. */
  readonly #heads: Float64Array
  /** `tree[0]` is the run whose row comes next, the others those that lost at each knot. */
  readonly #tree: Int32Array
  #reader: EncodedReader | undefined
  #target: Uint8Array = new Uint8Array(0)
  readonly #starts = new Int32Array(CHUNK_ROWS)
  readonly #ends = new Int32Array(CHUNK_ROWS)

  constructor({ input, needs, files }: MergeReaderOptions) {
    this.#needs = needs
    const buffers = new Buffers()
    const read = (path: string, block: StoredBlock): Uint8Array => this.#read(files, buffers, path, block)
    this.#cursors = input.runs.map(run => new Cursor(run, input, read, buffers))
    const count = this.#cursors.length
    this.#heads = Float64Array.from(this.#cursors, cursor => cursor.head)
    this.#tree = new Int32Array(Math.max(1, count)).fill(-1)
    for (let run = count - 1; run >= 0; run--) this.#play(run)
  }

  next(): Chunk | undefined {
    if (this.#cursors.length === 0) return undefined
    const first = this.#cursors[this.#tree[0] as number] as Cursor
    if (first.isEnded) return undefined
    const { codec } = first
    return this.#cursors.every(cursor => cursor.isEnded || cursor.codec === codec) ? this.#encoded(codec) : this.#values()
  }

  close(): void {
    for (const file of this.#files.values()) file.closeSync()
    this.#files.clear()
  }

  /** Rows back to back in memory of their own, which is used again. */
  #encoded(codec: RowCodec): Chunk {
    if (this.#reader?.codec !== codec) this.#reader = new EncodedReader(codec, this.#needs.paths)
    if (this.#target.length === 0) this.#target = new Uint8Array(chunkBytesMax + (64 << 10))
    const [starts, ends, tree, heads] = [this.#starts, this.#ends, this.#tree, this.#heads]
    let target = this.#target
    let words = wordsOf(target) as Int32Array
    let at = 0
    let count = 0
    while (count < CHUNK_ROWS && at < chunkBytesMax) {
      const run = tree[0] as number
      const cursor = this.#cursors[run] as Cursor
      // The block after this one may be of another codec.
      if (heads[run] === Number.POSITIVE_INFINITY && cursor.isEnded) break
      if (cursor.codec !== codec) break
      const row = cursor.at
      const start = cursor.starts[row] as number
      const size = (cursor.ends[row] as number) - start
      if (start < 0) starts[count] = -1
      else {
        if (at + size > target.length) {
          target = new Uint8Array(Math.max(2 * target.length, at + size))
          target.set(this.#target.subarray(0, at))
          this.#target = target
          words = wordsOf(target) as Int32Array
        }
        starts[count] = at
        const source = cursor.words
        if (source !== undefined && ((start | at | size) & 3) === 0) {
          const last = (start + size) >> 2
          let word = at >> 2
          for (let w = start >> 2; w < last; w++) words[word++] = source[w] as number
        } else if (size <= 16) for (let b = 0; b < size; b++) target[at + b] = cursor.bytes[start + b] as number
        else target.set(cursor.bytes.subarray(start, start + size), at)
        at += size
      }
      ends[count++] = at
      this.bytesRead += size
      heads[run] = cursor.step()
      this.#play(run)
    }
    return new Chunk(this.#reader.rows({ size: count, bytes: target, starts, ends }))
  }

  /** Rows of several codecs. */
  #values(): Chunk {
    const values: unknown[] = []
    while (values.length < CHUNK_ROWS) {
      const run = this.#tree[0] as number
      const cursor = this.#cursors[run] as Cursor
      if (cursor.isEnded) break
      values.push(cursor.value())
      this.#heads[run] = cursor.step()
      this.#play(run)
    }
    return new Chunk(new ValueRows(values))
  }

  /** The next row of a run against those that lost to it, up to the root. While the tree is being filled, the first at a knot waits there for the second. */
  #play(run: number): void {
    const [tree, heads] = [this.#tree, this.#heads]
    let winner = run
    for (let knot = (run + tree.length) >> 1; knot > 0; knot >>= 1) {
      const other = tree[knot] as number
      if (other < 0) {
        tree[knot] = winner
        return
      }
      const [a, b] = [heads[winner] as number, heads[other] as number]
      if (b < a || (a === b && this.#isBefore(other, winner))) {
        tree[knot] = winner
        winner = other
      }
    }
    tree[0] = winner
  }

  #isBefore(a: number, b: number): boolean {
    const [x, y] = [this.#cursors[a] as Cursor, this.#cursors[b] as Cursor]
    if (x.isEnded || y.isEnded) return x.isEnded === y.isEnded ? a < b : y.isEnded
    const order = compareSortKeys(
      x.keys.bytes,
      x.keys.starts[x.at] as number,
      x.keys.ends[x.at] as number,
      y.keys.bytes,
      y.keys.starts[y.at] as number,
      y.keys.ends[y.at] as number,
    )
    return order !== 0 ? order < 0 : a < b
  }

  #read(files: Files, buffers: Buffers, path: string, { position, size, checksum }: StoredBlock): Uint8Array {
    let file = this.#files.get(path)
    if (file === undefined) this.#files.set(path, (file = files.openSync(path, 'read')))
    const block = buffers.take(size)
    const got = file.readSync(block, position)
    if (got < size || xxh64Low32(block, 0, size) !== checksum) {
      throw damagedBytes(`a block of the job's file ${path} is damaged`, position, { file: path })
    }
    return block
  }
}

/** Goes through the rows of one run that are in the range. Invariant: until `isEnded`, `at` is a row of the block whose vectors are at hand. */
class Cursor {
  isEnded = false
  at = 0
  /** The number of the key at hand. */
  head = Number.POSITIVE_INFINITY
  keys!: TextVector
  codec!: RowCodec
  bytes!: Uint8Array
  words: Int32Array | undefined
  starts!: Int32Array
  ends!: Int32Array
  #rows!: EncodedVector
  readonly #run: MergeRun
  readonly #input: MergeInput
  readonly #read: (path: string, block: StoredBlock) => Uint8Array
  readonly #buffers: Buffers
  /** Of the file; of blocks in memory undefined. */
  #block: Uint8Array | undefined
  #next = 0
  /** Rows of the block at hand that are in the range, exclusive. */
  #end = 0

  constructor(run: MergeRun, input: MergeInput, read: (path: string, block: StoredBlock) => Uint8Array, buffers: Buffers) {
    this.#run = run
    this.#input = input
    this.#read = read
    this.#buffers = buffers
    this.#load()
    this.head = this.#headOf()
  }

  /** To the next row; the number of its key. */
  step(): number {
    if (++this.at >= this.#end) this.#load()
    return this.#headOf()
  }

  value(): unknown {
    return this.#rows.get(this.at)
  }

  #headOf(): number {
    if (this.isEnded) return Number.POSITIVE_INFINITY
    const { bytes, starts, ends } = this.keys
    const start = (starts[this.at] as number) + this.#input.common
    const end = ends[this.at] as number
    if (start + 6 <= end) {
      const high = ((bytes[start] as number) << 16) | ((bytes[start + 1] as number) << 8) | (bytes[start + 2] as number)
      const low = ((bytes[start + 3] as number) << 16) | ((bytes[start + 4] as number) << 8) | (bytes[start + 5] as number)
      return high * 0x1000000 + low
    }
    let head = 0
    for (let i = start; i < start + 6; i++) head = head * 256 + (i < end ? (bytes[i] as number) : 0)
    return head
  }

  #load(): void {
    for (;;) {
      if (this.#block !== undefined) this.#buffers.give(this.#block)
      this.#block = undefined
      const stored = this.#run.blocks[this.#next++]
      if (stored === undefined) {
        this.isEnded = true
        return
      }
      if (!(stored instanceof Uint8Array)) this.#block = this.#read(this.#run.file as string, stored)
      const { count, vectors } = decodeBlock(stored instanceof Uint8Array ? stored : (this.#block as Uint8Array))
      const [keys, rows] = vectors
      assert(keys?.kind === 'text' && rows?.kind === 'encoded', 'runs have keys and rows')
      this.keys = keys
      const { from, to } = this.#input
      this.at = from === undefined ? 0 : below(keys, count, from)
      this.#end = to === undefined ? count : below(keys, count, to)
      if (this.at >= this.#end) continue
      this.#rows = rows
      this.codec = rows.codec
      this.bytes = rows.bytes
      this.words = wordsOf(rows.bytes)
      this.starts = rows.starts
      this.ends = rows.ends
      return
    }
  }
}

/** How many keys of a block, which are in order, are below the bound. */
function below({ bytes, starts, ends }: TextVector, count: number, bound: Uint8Array): number {
  let [low, high] = [0, count]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareSortKeys(bytes, starts[middle] as number, ends[middle] as number, bound, 0, bound.length) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Memory of blocks, used again. */
class Buffers {
  readonly #free: ArrayBuffer[] = []

  take(size: number): Uint8Array {
    const at = this.#free.findIndex(buffer => buffer.byteLength >= size)
    const buffer = at < 0 ? new ArrayBuffer(size + (size >> 3)) : (this.#free.splice(at, 1)[0] as ArrayBuffer)
    return new Uint8Array(buffer, 0, size)
  }

  give(block: Uint8Array): void {
    this.#free.push(block.buffer as ArrayBuffer)
  }
}

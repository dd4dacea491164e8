/** Words of texts, found in their bytes: the rows are ranges of the same memory. */
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { Chunk, type ChunkData } from '../vector/chunk.ts'
import { nullVector, TextVector, type Vector } from '../vector/vector.ts'
import { type Receiver, Stage, sendAll } from './receiver.ts'

/** Words in a chunk: their places, and the groups that they get next, stay in the processor's cache. */
const wordsMax = 8192
/** In each byte: the space and one more, which no white space reaches; the highest bit. */
const EACH_0X21 = 0x21212121
const EACH_HIGH_BIT = 0x80808080 | 0

export class SplitWords extends Stage {
  readonly #text: ExpressionNode
  readonly #starts = new Int32Array(wordsMax)
  readonly #ends = new Int32Array(wordsMax)
  /** Number among the selected rows of the one at hand, and the position in it; -1: it has not begun. */
  #k = 0
  #at = -1

  constructor(text: ExpressionNode, next: Receiver) {
    super(next)
    this.#text = text
  }

  receive(chunk: Chunk): void | Promise<void> {
    return sendAll(this.#chunks(chunk), this.next)
  }

  *#chunks(chunk: Chunk): Generator<Chunk> {
    const { rows, count } = chunk
    const texts = asText(evaluate(this.#text, chunk), rows, count)
    this.#k = 0
    this.#at = -1
    while (this.#k < count) {
      const found = this.#find(texts, rows, count)
      if (found > 0) yield new Chunk(new WordRows(texts.bytes, this.#starts, this.#ends, found))
    }
  }

  /** Places of words from where it stood on, as many as there is room for; how many they are. */
  #find(texts: TextVector, rows: Int32Array, count: number): number {
    const { bytes } = texts
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const fourthLast = bytes.length - 4
    const [starts, ends] = [this.#starts, this.#ends]
    let found = 0
    let k = this.#k
    let at = this.#at
    for (; k < count; k++, at = -1) {
      const row = rows[k] as number
      if (at < 0) at = texts.starts[row] as number
      if (at < 0) continue
      const end = texts.ends[row] as number
      while (at < end) {
        if (isSpace(bytes[at] as number)) {
          at++
          continue
        }
        if (found === wordsMax) {
          this.#k = k
          this.#at = at
          return found
        }
        starts[found] = at++
        while (at < end) {
          if (at > fourthLast) {
            if (isSpace(bytes[at] as number)) break
            at++
            continue
          }
          // Four bytes at a time: the lowest high bit that is left is of the first byte up to the space (Mycroft's test for a byte less than another).
          const four = view.getInt32(at, true)
          const low = (four - EACH_0X21) & ~four & EACH_HIGH_BIT
          if (low === 0) at += 4
          else {
            at += (31 - Math.clz32(low & -low)) >>> 3
            if (at >= end || isSpace(bytes[at] as number)) break
            at++
          }
        }
        if (at > end) at = end
        ends[found++] = at
      }
    }
    this.#k = k
    return found
  }
}

/** Space, and TAB to CR. */
function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte <= 0x0d && byte >= 0x09)
}

/** Texts of a vector of any kind as bytes; what is no text is null. */
function asText(vector: Vector, rows: Int32Array, count: number): TextVector {
  if (vector.kind === 'text') return vector
  const texts: Buffer[] = []
  const size = count === 0 ? 0 : (rows[count - 1] as number) + 1
  const starts = new Int32Array(size).fill(-1)
  const ends = new Int32Array(size)
  let used = 0
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    const value = vector.get(row)
    if (typeof value !== 'string') continue
    const text = Buffer.from(value)
    texts.push(text)
    starts[row] = used
    used += text.length
    ends[row] = used
  }
  return new TextVector(Buffer.concat(texts), starts, ends)
}

class WordRows implements ChunkData {
  readonly size: number
  readonly #words: TextVector

  constructor(bytes: Uint8Array, starts: Int32Array, ends: Int32Array, size: number) {
    this.size = size
    this.#words = new TextVector(bytes, starts, ends)
  }

  field(path: string): Vector {
    return path === '' ? this.#words : nullVector(this.size)
  }

  value(row: number): unknown {
    return this.#words.get(row)
  }
}

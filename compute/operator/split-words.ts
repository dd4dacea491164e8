/**
 * Words of texts, found in their bytes. The texts go through the memory of a word kernel (`word-kernel.ts`), one behind the other with a space between them, as many at a time as there is room for,
 * and the rows are ranges of it. Where there is no kernel, they are ranges of the memory in which the texts lie.
 */
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { giveBack, takeWordKernel, type WordKernel } from '../group/word-kernel.ts'
import { KERNEL_TEXT_BYTES } from '../group/word-kernel-code.ts'
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
  /** Taken with the first texts. */
  #kernel: WordKernel | undefined
  #takesKernel: boolean

  /** `takesKernel` false: as where there is none. */
  constructor(text: ExpressionNode, next: Receiver, takesKernel: boolean = true) {
    super(next)
    this.#text = text
    this.#takesKernel = takesKernel
  }

  receive(chunk: Chunk): void | Promise<void> {
    return sendAll(this.#chunks(chunk), this.next)
  }

  *#chunks(chunk: Chunk): Generator<Chunk> {
    const { rows, count } = chunk
    const texts = asText(evaluate(this.#text, chunk), rows, count)
    this.#k = 0
    this.#at = -1
    if (this.#takesKernel) this.#kernel = takeWordKernel()
    this.#takesKernel = false
    if (this.#kernel !== undefined) yield* this.#chunksOfKernel(this.#kernel, texts, rows, count)
    while (this.#k < count) {
      const found = this.#find(texts, rows, count)
      if (found > 0) yield new Chunk(new WordRows(new TextVector(texts.bytes, this.#starts, this.#ends), found))
    }
  }

  override finish(): void | Promise<void> {
    if (this.#kernel !== undefined) giveBack(this.#kernel)
    this.#kernel = undefined
    return super.finish()
  }

  *#chunksOfKernel(kernel: WordKernel, texts: TextVector, rows: Int32Array, count: number): Generator<Chunk> {
    while (this.#k < count) {
      const end = this.#fill(kernel.text, texts, rows, count)
      for (let at = 0; at < end; at = kernel.resumesAt) {
        const found = kernel.split(at, end)
        if (found > 0) yield new Chunk(new WordRows(kernel.words(found), found))
      }
      if (end === 0 && this.#k < count) yield this.#longWord(texts, rows)
    }
  }

  /** Texts from where it stood on, as many as there is room for, each with a space behind it; how many bytes these are. None although there are texts: a word comes for which there is no room. */
  #fill(target: Uint8Array, { bytes, starts, ends }: TextVector, rows: Int32Array, count: number): number {
    let used = 0
    while (this.#k < count) {
      const row = rows[this.#k] as number
      if (this.#at < 0) this.#at = starts[row] as number
      const at = this.#at
      let end = ends[row] as number
      if (at < 0 || at >= end) {
        this.#goTo(this.#k + 1, -1)
        continue
      }
      const limit = at + KERNEL_TEXT_BYTES - 1 - used
      let k = this.#k + 1
      // Lines of a file are one piece: nothing but a line end is between them.
      for (; k < count && end < limit; k++) {
        const next = rows[k] as number
        const start = starts[next] as number
        if (!(start === end + 1 || (start === end + 2 && isSpace(bytes[end + 1] as number))) || !isSpace(bytes[end] as number)) break
        end = ends[next] as number
      }
      if (end <= limit) {
        used = copyTo(target, used, bytes, at, end)
        this.#goTo(k, -1)
        continue
      }
      let cut = limit
      while (cut > at && !isSpace(bytes[cut] as number)) cut--
      if (cut > at) {
        used = copyTo(target, used, bytes, at, cut)
        k = this.#k
        while ((ends[rows[k] as number] as number) <= cut) k++
        this.#goTo(k, (starts[rows[k] as number] as number) < cut ? cut : -1)
        return used
      }
      if (!isSpace(bytes[at] as number)) return used
      this.#at++
    }
    return used
  }

  #goTo(k: number, at: number): void {
    this.#k = k
    this.#at = at
  }

  /** The word at hand where it lies. */
  #longWord({ bytes, ends }: TextVector, rows: Int32Array): Chunk {
    const [start, end] = [this.#at, ends[rows[this.#k] as number] as number]
    let at = start
    while (at < end && !isSpace(bytes[at] as number)) at++
    this.#at = at
    return new Chunk(new WordRows(new TextVector(bytes, Int32Array.of(start), Int32Array.of(at)), 1))
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

/** A text, or some of it, and a space behind it; the position after that. */
function copyTo(target: Uint8Array, used: number, bytes: Uint8Array, start: number, end: number): number {
  target.set(bytes.subarray(start, end), used)
  target[used + end - start] = 0x20
  return used + end - start + 1
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

  constructor(words: TextVector, size: number) {
    this.size = size
    this.#words = words
  }

  field(path: string): Vector {
    return path === '' ? this.#words : nullVector(this.size)
  }

  value(row: number): unknown {
    return this.#words.get(row)
  }
}

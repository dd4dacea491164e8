/** Words of texts, found in their bytes: the rows are ranges of the same memory. */
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { Chunk, type ChunkData } from '../vector/chunk.ts'
import { nullVector, TextVector, type Vector } from '../vector/vector.ts'
import { type Receiver, Stage } from './receiver.ts'

export class SplitWords extends Stage {
  readonly #text: ExpressionNode
  #starts = new Int32Array(64 * 1024)
  #ends = new Int32Array(64 * 1024)

  constructor(text: ExpressionNode, next: Receiver) {
    super(next)
    this.#text = text
  }

  receive(chunk: Chunk): void | Promise<void> {
    const { rows, count } = chunk
    const vector = asText(evaluate(this.#text, chunk), rows, count)
    const { bytes } = vector
    let found = 0
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const start = vector.starts[row] as number
      if (start < 0) continue
      const end = vector.ends[row] as number
      if (found + ((end - start) >> 1) + 1 > this.#starts.length) this.#grow(found + ((end - start) >> 1) + 1)
      const [starts, ends] = [this.#starts, this.#ends]
      let at = start
      for (;;) {
        while (at < end && isSpace(bytes[at] as number)) at++
        if (at === end) break
        starts[found] = at
        while (at < end && !isSpace(bytes[at] as number)) at++
        ends[found++] = at
      }
    }
    return found === 0 ? undefined : this.next.receive(new Chunk(new WordRows(bytes, this.#starts, this.#ends, found)))
  }

  #grow(need: number): void {
    const size = Math.max(2 * this.#starts.length, need)
    const [starts, ends] = [new Int32Array(size), new Int32Array(size)]
    starts.set(this.#starts)
    ends.set(this.#ends)
    this.#starts = starts
    this.#ends = ends
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

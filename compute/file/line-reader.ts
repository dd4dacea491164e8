/**
 * Lines of a range of a file, many at a time, as ranges of one buffer. A line belongs to the range in which it begins, so that ranges that touch share out all lines, each once.
 * Lines end with LF or CR LF, the last one also with the file; a byte order mark at the beginning is no part of the first.
 */
import { type File, type Files, VarveError } from '../../engine/index.ts'

const LF = 0x0a
const CR = 0x0d
const QUOTE = 0x22
/** In each of four bytes. */
const EACH_LF = 0x0a0a0a0a
const EACH_1 = 0x01010101
const EACH_HIGH_BIT = 0x80808080 | 0
/** A line end beyond so many bytes is looked for by the platform. */
const NEAR_BYTES = 256
const readBytes = 1 << 20
/** A longer line is refused: positions are 32-bit. */
const lineBytesMax = 1 << 30

export class LineReader {
  /** Lines lie here; read over by the next call of `next`. */
  bytes: Uint8Array = new Uint8Array(readBytes)
  readonly starts: Int32Array
  /** Exclusive, without line ends. */
  readonly ends: Int32Array
  /** Position in the file of `bytes[0]`. */
  base: number
  readonly #file: File
  readonly #end: number
  readonly #quotes: boolean
  #view: DataView = new DataView(this.bytes.buffer)
  #used = 0
  /** Where the next line begins in `bytes`. */
  #at = 0
  #atFileEnd = false
  /** Of the byte order mark, with which the first line begins. */
  #markBytes = 0
  #begun = false

  /** With `quotes`, line ends between quotes are part of a line; then the range must begin with one. */
  constructor(files: Files, path: string, start: number, end: number, linesMax: number, quotes: boolean = false) {
    this.#quotes = quotes
    this.#file = files.openSync(path, 'read')
    // A line begins at `start` only if one ends before it.
    this.base = Math.max(0, start - 1)
    this.#end = end
    this.starts = new Int32Array(linesMax)
    this.ends = new Int32Array(linesMax)
    this.#begun = start === 0
  }

  /** How many lines `starts` and `ends` have now; 0 at the end of the range. */
  next(): number {
    if (!this.#begun) this.#skipBegun()
    let count = 0
    while (count < this.starts.length) {
      if (this.base + this.#at >= this.#end) break
      const lineEnd = this.#lineEnd()
      if (lineEnd < 0 && !this.#atFileEnd) {
        // What is at hand goes first: reading more moves it.
        if (count > 0) break
        this.#read()
        continue
      }
      if (lineEnd < 0 && this.#at === this.#used) break
      const end = lineEnd < 0 ? this.#used : lineEnd
      const start = this.base + this.#at === 0 ? this.#markBytes : this.#at
      this.starts[count] = start
      this.ends[count++] = end > start && this.bytes[end - 1] === CR ? end - 1 : end
      this.#at = end + 1
    }
    return count
  }

  close(): void {
    this.#file.closeSync()
  }

  /** Over the rest of the line in which the range begins. */
  #skipBegun(): void {
    this.#begun = true
    for (;;) {
      const lineEnd = this.#lineEnd()
      if (lineEnd >= 0) {
        this.#at = lineEnd + 1
        return
      }
      this.#at = this.#used
      if (this.#atFileEnd) return
      this.#read()
    }
  }

  /** Where the line at hand ends; -1: not in these bytes. */
  #lineEnd(): number {
    const { bytes } = this
    const used = this.#used
    if (!this.#quotes) {
      // Four bytes at a time, in each of which a line end becomes 0 (Mycroft's test): most lines are shorter than a call of the platform is worth.
      const view = this.#view
      let at = this.#at
      for (const near = Math.min(used - 4, at + NEAR_BYTES); at <= near; at += 4) {
        const four = view.getInt32(at, true) ^ EACH_LF
        const zero = (four - EACH_1) & ~four & EACH_HIGH_BIT
        if (zero !== 0) return at + ((31 - Math.clz32(zero & -zero)) >>> 3)
      }
      at = bytes.indexOf(LF, at)
      return at < used ? at : -1
    }
    let inside = false
    for (let at = this.#at; at < used; at++) {
      const byte = bytes[at]
      if (byte === QUOTE) inside = !inside
      else if (byte === LF && !inside) return at
    }
    return -1
  }

  /** More bytes behind those that are not used up. */
  #read(): void {
    const isFirst = this.base === 0 && this.#used === 0
    const left = this.#used - this.#at
    if (left + readBytes > this.bytes.length) {
      if (left > lineBytesMax) {
        throw new VarveError('TOO_LARGE', `${this.#file.path} has a line of more than ${lineBytesMax} bytes`, {
          details: { file: this.#file.path, position: this.base + this.#at, limit: 'line', expected: lineBytesMax },
        })
      }
      const grown = new Uint8Array(Math.max(2 * this.bytes.length, left + readBytes))
      grown.set(this.bytes.subarray(this.#at, this.#used))
      this.bytes = grown
      this.#view = new DataView(grown.buffer)
    } else this.bytes.copyWithin(0, this.#at, this.#used)
    this.base += this.#at
    this.#at = 0
    const got = this.#file.readSync(this.bytes.subarray(left, left + readBytes), this.base + left)
    this.#used = left + got
    this.#atFileEnd = got < readBytes
    if (isFirst && this.bytes[0] === 0xef && this.bytes[1] === 0xbb && this.bytes[2] === 0xbf) this.#markBytes = 3
  }
}

/** Number, from 1, of the line that has the byte at `position`. */
export function lineNumberAt(files: Files, path: string, position: number): number {
  const file = files.openSync(path, 'read')
  try {
    const bytes = new Uint8Array(readBytes)
    let line = 1
    for (let at = 0; at < position; ) {
      const got = file.readSync(bytes.subarray(0, Math.min(readBytes, position - at)), at)
      if (got === 0) break
      for (let i = 0; i < got; i++) if (bytes[i] === LF) line++
      at += got
    }
    return line
  } finally {
    file.closeSync()
  }
}

/**
 * The records of one stretch of bytes (a block of a run) as one text, from which the keys and values of a scan are cut: a call into the platform for
 * the stretch and not two for each record, and no copy for a text that is cut out.
 *
 * Made by `RunBlocks` for the block that it stands in, asked by `StoreIterator` for what it decodes. A text that is cut out keeps the whole text, so stretches
 * are short: a longer one (a block of one large record) has none. Invariant: the bytes never change.
 */
import { STORE_RECORD_KIND_MASK } from './store-format.ts'
import { StoreRecordCursor } from './store-record.ts'

/** Longest stretch that becomes a text, bytes: a block of usual size. */
const textBytesMax = 8 * 1024

const cursor = new StoreRecordCursor()
/** Buffer's own, which takes any Uint8Array. */
const { latin1Slice } = Buffer.prototype as unknown as { latin1Slice(this: Uint8Array, start: number, end: number): string }

export class RecordsText {
  /** Position of the first record: that of the text's first character. */
  readonly start: number
  readonly #bytes: Uint8Array
  readonly #end: number
  /** Bytes that are not ASCII, before keys; -1: not counted. */
  #others = -1
  /** undefined: nobody asked yet. */
  #ascii: string | false | undefined

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes
    this.start = start
    this.#end = end
    this.#ascii = end - start > textBytesMax ? false : undefined
  }

  /** One character for each byte; false where a key or a value is not all ASCII, or the stretch is long. */
  get ascii(): string | false {
    this.#ascii ??= this.#read()
    return this.#ascii
  }

  /** From who went through all its records anyway: how many bytes before their keys are not ASCII; -1 for not known. */
  tellOthers(count: number): void {
    this.#others = count
  }

  #read(): string | false {
    const text = latin1Slice.call(this.#bytes, this.start, this.#end)
    // UTF-8 of latin1 has one byte more for each that is not ASCII: in keys and values there may be none, before them there may.
    const others = Buffer.byteLength(text, 'utf8') - text.length
    if (others === 0) return text
    return others === (this.#others < 0 ? this.#othersBeforeKeys() : this.#others) ? text : false
  }

  #othersBeforeKeys(): number {
    const bytes = this.#bytes
    const end = this.#end
    let count = 0
    for (let at = this.start; at < end; ) {
      const size = bytes[at]!
      const next = at + 1 + size
      if (size < 0x80 && bytes[at + 1]! <= STORE_RECORD_KIND_MASK && next <= end) {
        // Length in one byte and no options: the usual record.
        let position = at + 2
        while (bytes[position]! >= 0x80) {
          count++
          position++
        }
        position++
        while (bytes[position]! >= 0x80) {
          count++
          position++
        }
        at = next
        continue
      }
      cursor.readAt(bytes, at, end)
      for (let i = at; i < cursor.keyStart; i++) count += bytes[i]! >>> 7
      at = cursor.end
    }
    return count
  }
}

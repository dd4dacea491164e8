/**
 * Texts of many rows of which few are different, kept once each: a row has a code. A join's right rows are often so (an item's kind, a customer's country), and whoever groups by such a field then
 * looks up each text once, not in every row.
 */
import { type Dictionary, DictionaryVector, TextVector } from '../vector/vector.ts'
import { GroupTable } from './group-table.ts'

/** More different texts than this are not looked up by code. */
const textsMax = 4096
/** Fewer rows a text are not worth while. */
const rowsOfTextMin = 4
const rowsAtOnce = 4096

export class PackedTexts {
  readonly #texts: TextVector
  readonly #codes: Uint16Array
  /** Its size is the code of null. */
  readonly #dictionary: Dictionary

  private constructor(texts: TextVector, codes: Uint16Array, dictionary: Dictionary) {
    this.#texts = texts
    this.#codes = codes
    this.#dictionary = dictionary
  }

  /** The first `size` texts of a vector; undefined where too many of them are different. */
  static of(vector: TextVector, size: number): PackedTexts | undefined {
    const most = Math.min(textsMax, size / rowsOfTextMin)
    const table = new GroupTable(1)
    const groups = new Int32Array(size)
    const rows = Int32Array.from({ length: Math.min(size, rowsAtOnce) }, (_, i) => i)
    for (let from = 0; from < size; from += rowsAtOnce) {
      const count = Math.min(size - from, rowsAtOnce)
      const part = new TextVector(vector.bytes, vector.starts.subarray(from), vector.ends.subarray(from))
      table.assign([part], rows, count, groups.subarray(from))
      if (table.size > most) return undefined
    }
    const texts = table.keys()[0] as TextVector
    const codes = Uint16Array.from(groups, group => (texts.isNull(group) ? table.size : group))
    return new PackedTexts(texts, codes, { size: table.size })
  }

  /** The texts of these rows, null for -1. */
  gather(rows: Int32Array, count: number): DictionaryVector {
    const { bytes, starts: textStarts, ends: textEnds } = this.#texts
    const all = this.#codes
    const { size } = this.#dictionary
    const codes = new Uint16Array(count)
    const [starts, ends] = [new Int32Array(count), new Int32Array(count)]
    for (let k = 0; k < count; k++) {
      const row = rows[k] as number
      const code = row < 0 ? size : (all[row] as number)
      codes[k] = code
      starts[k] = code === size ? -1 : (textStarts[code] as number)
      ends[k] = code === size ? -1 : (textEnds[code] as number)
    }
    return new DictionaryVector(bytes, starts, ends, codes, this.#dictionary)
  }
}

/** Strings that users' functions made, as texts in bytes: what a table of groups looks up without an object for each. */
import { type AnyVector, TextVector } from '../vector/vector.ts'

const encoder = new TextEncoder()
/** Longer strings are encoded by the platform: a call costs more than so many characters. */
const LOOP_CHARS_MAX = 32

/** Texts are found in it until the next call. */
let bytes = new Uint8Array(64 * 1024)

/** The strings in these rows of a vector, valid until the next call; undefined when a row has anything else but null. */
export function stringTexts({ values }: AnyVector, rows: Int32Array, count: number): TextVector | undefined {
  if (count === 0 || !isTextOrNothing(values[rows[0] as number])) return undefined
  const size = (rows[count - 1] as number) + 1
  const starts = new Int32Array(size)
  const ends = new Int32Array(size)
  let used = 0
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    const value = values[row]
    if (typeof value !== 'string') {
      if (!isTextOrNothing(value)) return undefined
      starts[row] = -1
      continue
    }
    const { length } = value
    if (used + 3 * length > bytes.length) {
      const grown = new Uint8Array(Math.max(2 * bytes.length, used + 3 * length))
      grown.set(bytes.subarray(0, used))
      bytes = grown
    }
    starts[row] = used
    let i = 0
    if (length <= LOOP_CHARS_MAX) {
      for (; i < length; i++) {
        const unit = value.charCodeAt(i)
        if (unit >= 0x80) break
        bytes[used + i] = unit
      }
    }
    used += i === length ? length : encoder.encodeInto(value, bytes.subarray(used)).written
    ends[row] = used
  }
  return new TextVector(bytes, starts, ends)
}

function isTextOrNothing(value: unknown): boolean {
  return typeof value === 'string' || value === null || value === undefined
}

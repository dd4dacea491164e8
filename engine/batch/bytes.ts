/**
 * Copying bytes and encoding text on hot paths.
 *
 * `TypedArray.set` costs some 11 ns before it moves anything, a loop 1 ns a byte, so few bytes are copied by a loop. `TextScratch` encodes a string into memory of its own,
 * so that its size is known before it is written where it belongs; short ASCII, the usual key, does not leave JavaScript.
 */

/** At this many bytes loop and `set` cost the same (measured). */
const loopBytesMax = 12
const asciiCharactersMax = 48

const encoder = new TextEncoder()

/** Copies `source[0, size)` to `target[position]`; the caller has made room. Returns the position after it. */
export function copyBytes(source: Uint8Array, size: number, target: Uint8Array, position: number): number {
  if (size <= loopBytesMax) for (let i = 0; i < size; i++) target[position + i] = source[i] as number
  else target.set(size === source.length ? source : source.subarray(0, size), position)
  return position + size
}

export class TextScratch {
  /** Holds the text encoded last; only as many bytes as `encode` returned. Another array after each `encode`, perhaps. */
  bytes: Uint8Array = new Uint8Array(256)

  /** Encodes as UTF-8 (lone surrogates become U+FFFD) and returns the size. */
  encode(text: string): number {
    const { length } = text
    if (length <= asciiCharactersMax) {
      const { bytes } = this
      let i = 0
      for (; i < length; i++) {
        const unit = text.charCodeAt(i)
        if (unit >= 0x80) break
        bytes[i] = unit
      }
      if (i === length) return length
    }
    if (length * 3 > this.bytes.length) this.bytes = new Uint8Array(length * 3)
    return encoder.encodeInto(text, this.bytes).written
  }
}

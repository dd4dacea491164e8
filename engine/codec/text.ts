/**
 * Text of keys and values out of bytes. Short ASCII, the usual case, is made in JavaScript; longer ASCII is copied as latin1, which is looked at when it is copied;
 * everything else is decoded strictly, since bytes that are not UTF-8 are damage and not text.
 *
 * Called by the key and value codecs. Works on ordinary and shared memory; nothing returned refers to the bytes.
 */

import { damagedBytes } from './damage.ts'

/** Up to this size a string made from character codes costs less than a call into the platform, and is one piece (measured). */
const codesMax = 12
/** Up to this size a loop looks at all bytes; of longer ones the platform looks faster at the text made of them. Text that is not ASCII tells it early, mostly. */
const loopMax = 48
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const { fromCharCode } = String
/** Buffer's own, which takes any Uint8Array. */
const { latin1Slice } = Buffer.prototype as unknown as { latin1Slice(this: Uint8Array, start: number, end: number): string }

/** The text whose UTF-8 is `bytes[start, end)`; `CORRUPT` when that is no UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number): string {
  const size = end - start
  if (!isAscii(bytes, start, size > loopMax ? start + loopMax : end)) return readUtf8(bytes, start, end)
  if (size > codesMax) {
    const latin1 = latin1Slice.call(bytes, start, end)
    // UTF-8 of latin1 has one byte more for each that is not ASCII.
    return size <= loopMax || Buffer.byteLength(latin1, 'utf8') === size ? latin1 : readUtf8(bytes, start, end)
  }
  let text = ''
  let i = start
  for (; i + 4 <= end; i += 4) {
    text += fromCharCode(bytes[i] as number, bytes[i + 1] as number, bytes[i + 2] as number, bytes[i + 3] as number)
  }
  for (; i < end; i++) text += fromCharCode(bytes[i] as number)
  return text
}

/** Eight bytes a step: a third less than one by one. */
function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  let all = 0
  let i = start
  for (; i + 8 <= end; i += 8) {
    all |= bytes[i]! | bytes[i + 1]! | bytes[i + 2]! | bytes[i + 3]! | bytes[i + 4]! | bytes[i + 5]! | bytes[i + 6]! | bytes[i + 7]!
  }
  for (; i < end; i++) all |= bytes[i]!
  return all < 0x80
}

function readUtf8(bytes: Uint8Array, start: number, end: number): string {
  try {
    return strict.decode(bytes.subarray(start, end))
  } catch (cause) {
    throw damagedBytes('text is not UTF-8', start, {}, cause)
  }
}

/** A copy in memory of its own, whatever kind of array was given. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start)
  copy.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
  return copy
}

/** Whether a UTF-16 surrogate stands alone: such text has no UTF-8 and would come back changed. */
export function hasLoneSurrogate(text: string): boolean {
  return /\p{Surrogate}/u.test(text)
}

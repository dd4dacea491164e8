/**
 * The bytes of tuple-encoded store keys: constants only. The prose is docs/FORMAT.md, "Keys of stores"; the encoder is key-encoder.ts, the decoder key-decoder.ts.
 *
 *   key      := null | false | true | number | date | 40 utf8 | 50 bytes | 60 element*       text, bytes and tuples end where the key ends
 *   element  := null | false | true | number | date | 40 escaped 00 | 50 escaped 00 | 60 element* 00
 *   null := 01   false := 02   true := 03   date := 30 ms:i64 big-endian, sign bit flipped
 *   escaped  := byte*                 00 is written 00 FF
 *   number   := 10 | integer [FF fraction] | 24                                               -Infinity, finite, Infinity
 *   integer  := 11 size magnitude | 12..19 magnitude | 1A | 1B..22 magnitude | 23 size magnitude
 *
 * The order of the bytes (memcmp, a prefix before what it begins) is the order of the keys:
 *   null < false < true < numbers and bigints by value < Date < string by UTF-8 bytes < bytes < tuple, element by element.
 * Invariants: every key has exactly one encoding; a tag is below FF, so that FF after an integer can only be its fraction.
 */

/** What a store's key may be. A number and a bigint of one value are one key; -0 is 0; NaN, invalid dates and lone surrogates are refused. */
export type StoreKey = string | number | bigint | boolean | null | Date | Uint8Array | readonly StoreKey[]

/** Ends text, bytes and tuples inside a tuple. */
export const KEY_END = 0x00
export const KEY_NULL = 0x01
export const KEY_FALSE = 0x02
export const KEY_TRUE = 0x03
export const KEY_MINUS_INFINITY = 0x10
/** A negative integer of 9 to 255 bytes: its size complemented, its magnitude complemented. */
export const KEY_NEGATIVE_LARGE = 0x11
/** Zero; this minus n is a negative integer of n <= 8 bytes (complemented), this plus n a positive one. */
export const KEY_ZERO = 0x1a
/** A positive integer of 9 to 255 bytes: its size, its magnitude. */
export const KEY_POSITIVE_LARGE = 0x23
export const KEY_INFINITY = 0x24
export const KEY_DATE = 0x30
export const KEY_STRING = 0x40
export const KEY_BYTES = 0x50
export const KEY_TUPLE = 0x60
/** Above every tag. After 00 inside text or bytes: the 00 was one of theirs. After an integer: a fraction follows. */
export const KEY_MORE = 0xff

/** The largest encoded key. */
export const KEY_SIZE_MAX = 65536
/** The largest magnitude of an integer, in bytes. */
export const KEY_INTEGER_BYTES_MAX = 255
/** A tuple in a tuple in a tuple …: this many at most. */
export const KEY_DEPTH_MAX = 64
/** The largest distance of a `Date` from 1970, in ms. */
export const KEY_DATE_MS_MAX = 8.64e15

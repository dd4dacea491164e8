/**
 * Between abstract-level's three formats of data ('utf8' strings, Buffers, Uint8Arrays) and the bytes of the store. Buffers and arrays are handed
 * through without a copy, both ways.
 */

/** How abstract-level names the form of a key or value. */
export type Format = 'utf8' | 'buffer' | 'view'

/** Data in the form that `Format` says. */
export type Formatted = string | Uint8Array

/** The bytes that the store gets. */
export function bytesOf(data: Formatted): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data, 'utf8') : data
}

/** Bytes of the store, which are the caller's own, in the form that was asked for. */
export function formatted(bytes: Uint8Array, format: Format): Formatted {
  if (format === 'view') return bytes
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return format === 'buffer' ? buffer : buffer.toString('utf8')
}

/**
 * Integers of fixed width in a byte array: 16, 32, 48 and 64 bits, big-endian (Kafka's formats) and little-endian (ours).
 *
 * A number outside the bytes throws `CORRUPT` when read and breaks an assertion when written (a typed array would drop the bytes silently). 64-bit
 * integers are JavaScript numbers: what is not a safe integer throws `CORRUPT` when read. No call allocates.
 */

import { assert } from '../errors.ts'
import { damagedBytes } from './damage.ts'

const power32 = 2 ** 32

function checkRead(source: Uint8Array, position: number, size: number): void {
  if (!(position >= 0 && position + size <= source.length)) throw damagedBytes('number is cut off', position, { actual: source.length })
}

function checkWrite(target: Uint8Array, position: number, size: number): void {
  assert(position >= 0 && position + size <= target.length, 'a number fits its target', position, target.length)
}

export function readU16BE(source: Uint8Array, position: number): number {
  checkRead(source, position, 2)
  return ((source[position] as number) << 8) | (source[position + 1] as number)
}

export function writeU16BE(target: Uint8Array, position: number, value: number): number {
  checkWrite(target, position, 2)
  target[position] = value >>> 8
  target[position + 1] = value
  return position + 2
}

export function readI16BE(source: Uint8Array, position: number): number {
  return (readU16BE(source, position) << 16) >> 16
}

export function readI32BE(source: Uint8Array, position: number): number {
  checkRead(source, position, 4)
  return (
    ((source[position] as number) << 24) |
    ((source[position + 1] as number) << 16) |
    ((source[position + 2] as number) << 8) |
    (source[position + 3] as number)
  )
}

export function readU32BE(source: Uint8Array, position: number): number {
  return readI32BE(source, position) >>> 0
}

/** Writes the low 32 bits, for signed and unsigned values alike. */
export function write32BE(target: Uint8Array, position: number, value: number): number {
  checkWrite(target, position, 4)
  target[position] = value >>> 24
  target[position + 1] = value >>> 16
  target[position + 2] = value >>> 8
  target[position + 3] = value
  return position + 4
}

export function readU48BE(source: Uint8Array, position: number): number {
  return readU16BE(source, position) * power32 + readU32BE(source, position + 2)
}

export function writeU48BE(target: Uint8Array, position: number, value: number): number {
  assert(value >= 0 && value < 2 ** 48 && Number.isInteger(value), 'a u48 is an integer below 2^48', value)
  writeU16BE(target, position, Math.floor(value / power32))
  return write32BE(target, position + 2, value)
}

export function readI64BE(source: Uint8Array, position: number): number {
  const value = readI32BE(source, position) * power32 + readU32BE(source, position + 4)
  if (!Number.isSafeInteger(value)) throw damagedBytes('64-bit number is not a safe integer', position, { actual: value })
  return value
}

export function writeI64BE(target: Uint8Array, position: number, value: number): number {
  assert(Number.isSafeInteger(value), 'an i64 is a safe integer', value)
  write32BE(target, position, Math.floor(value / power32))
  return write32BE(target, position + 4, value)
}

export function readU16LE(source: Uint8Array, position: number): number {
  checkRead(source, position, 2)
  return ((source[position + 1] as number) << 8) | (source[position] as number)
}

export function writeU16LE(target: Uint8Array, position: number, value: number): number {
  checkWrite(target, position, 2)
  target[position] = value
  target[position + 1] = value >>> 8
  return position + 2
}

export function readI32LE(source: Uint8Array, position: number): number {
  checkRead(source, position, 4)
  return (
    ((source[position + 3] as number) << 24) |
    ((source[position + 2] as number) << 16) |
    ((source[position + 1] as number) << 8) |
    (source[position] as number)
  )
}

export function readU32LE(source: Uint8Array, position: number): number {
  return readI32LE(source, position) >>> 0
}

/** Writes the low 32 bits, for signed and unsigned values alike. */
export function write32LE(target: Uint8Array, position: number, value: number): number {
  checkWrite(target, position, 4)
  target[position] = value
  target[position + 1] = value >>> 8
  target[position + 2] = value >>> 16
  target[position + 3] = value >>> 24
  return position + 4
}

export function readU48LE(source: Uint8Array, position: number): number {
  return readU16LE(source, position + 4) * power32 + readU32LE(source, position)
}

export function writeU48LE(target: Uint8Array, position: number, value: number): number {
  assert(value >= 0 && value < 2 ** 48 && Number.isInteger(value), 'a u48 is an integer below 2^48', value)
  write32LE(target, position, value)
  return writeU16LE(target, position + 4, Math.floor(value / power32))
}

export function readI64LE(source: Uint8Array, position: number): number {
  const high = readI32LE(source, position + 4)
  const low = readI32LE(source, position)
  // Most are small. The product would make them a double, and what is computed from them: positions in blocks, until code is optimised anew.
  if (high === 0 && low >= 0) return low
  const value = high * power32 + (low >>> 0)
  if (!Number.isSafeInteger(value)) throw damagedBytes('64-bit number is not a safe integer', position, { actual: value })
  return value
}

export function writeI64LE(target: Uint8Array, position: number, value: number): number {
  assert(Number.isSafeInteger(value), 'an i64 is a safe integer', value)
  write32LE(target, position, value)
  return write32LE(target, position + 4, Math.floor(value / power32))
}

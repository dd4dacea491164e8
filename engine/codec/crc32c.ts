/**
 * CRC-32C (Castagnoli), the checksum of a Kafka record batch.
 *
 * Two ways to the same number: sixteen bytes a step in WebAssembly (`crc32c-wasm.ts`; about twice as fast), and for short inputs, where copying into
 * its memory would cost more than it gains, eight bytes a step in JavaScript. The tables are those of the slicing algorithm (Kounavis and Berry,
 * 2005): `tables[k * 256 + b]` is the CRC of byte `b` followed by `k` zero bytes.
 */

import { assert } from '../errors.ts'
import { assembleSlicer } from './crc32c-wasm.ts'

const polynomial = 0x82f63b78
const slices = 16
const pieceBytes = 64 * 1024
/** Below this many bytes JavaScript is faster (measured: equal at about 140). */
const wasmBytesMin = 144

const tables: Int32Array = makeTables()

/** The part of WebAssembly used here; Node's type definitions leave it to the DOM library. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

interface Slicer {
  /** Where input goes: `pieceBytes` long. */
  readonly input: Uint8Array
  readonly update: (crc: number, start: number, end: number) => number
}

let slicer: Slicer | undefined

function makeTables(): Int32Array {
  const made = new Int32Array(slices * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    made[byte] = crc
  }
  for (let at = 256; at < made.length; at++) {
    const before = made[at - 256] as number
    made[at] = (before >>> 8) ^ (made[before & 0xff] as number)
  }
  return made
}

function makeSlicer(): Slicer {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(assembleSlicer(slices)))
  const { memory, update } = instance.exports as { memory: { buffer: ArrayBuffer }; update: Slicer['update'] }
  const words = new DataView(memory.buffer)
  for (let i = 0; i < tables.length; i++) words.setInt32(i * 4, tables[i] as number, true)
  return { input: new Uint8Array(memory.buffer, tables.byteLength, pieceBytes), update }
}

/** The CRC of `source[start, end)`, unsigned. `crc` is the result for the bytes before, if any. */
export function crc32c(source: Uint8Array, start: number = 0, end: number = source.length, crc: number = 0): number {
  assert(start >= 0 && start <= end && end <= source.length, 'the range lies in the bytes', start, end)
  return end - start < wasmBytesMin ? crcOfShort(source, start, end, crc) : crcOfLong(source, start, end, crc)
}

function crcOfLong(source: Uint8Array, start: number, end: number, before: number): number {
  slicer ??= makeSlicer()
  const { input, update } = slicer
  let crc = before
  for (let at = start; at < end; at += pieceBytes) {
    const size = Math.min(pieceBytes, end - at)
    input.set(source.subarray(at, at + size))
    crc = update(crc, tables.byteLength, tables.byteLength + size)
  }
  return crc >>> 0
}

function crcOfShort(source: Uint8Array, start: number, end: number, before: number): number {
  const t = tables
  let crc = ~before
  let at = start
  for (; at + 8 <= end; at += 8) {
    const low =
      crc ^
      ((source[at] as number) | ((source[at + 1] as number) << 8) | ((source[at + 2] as number) << 16) | ((source[at + 3] as number) << 24))
    crc =
      (t[1792 + (low & 0xff)] as number) ^
      (t[1536 + ((low >>> 8) & 0xff)] as number) ^
      (t[1280 + ((low >>> 16) & 0xff)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (source[at + 4] as number)] as number) ^
      (t[512 + (source[at + 5] as number)] as number) ^
      (t[256 + (source[at + 6] as number)] as number) ^
      (t[source[at + 7] as number] as number)
  }
  for (; at < end; at++) crc = (t[(crc ^ (source[at] as number)) & 0xff] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}

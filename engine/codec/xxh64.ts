/**
 * xxh64 (seed 0), the checksum of our own formats, through xxhash-wasm.
 *
 * The package can only be instantiated asynchronously: `await loadChecksums()` once per thread, before a database or a worker's task begins; every
 * other function asserts that this was done. A checksum is eight bytes, little-endian, wherever it is stored. The package's result is one BigInt, which
 * dies here: callers see bytes. Inputs may lie in shared memory. They are copied into the instance's memory in pieces of at most `pieceBytes`, so that
 * memory does not grow with the largest input.
 */

import xxhash, { type XXHash, type XXHashAPI } from 'xxhash-wasm'
import { assert } from '../errors.ts'

export const XXH64_BYTES: number = 8

const pieceBytes = 256 * 1024
const digest: Uint8Array = new Uint8Array(8)
const digestView: DataView = new DataView(digest.buffer)

let api: XXHashAPI | undefined
let loading: Promise<void> | undefined

/** Idempotent; cheap after the first call. */
export function loadChecksums(): Promise<void> {
  loading ??= xxhash().then(loaded => {
    api = loaded
  })
  return loading
}

function hash(source: Uint8Array, start: number, end: number): void {
  assert(api !== undefined, 'loadChecksums() was awaited before the first checksum')
  assert(start >= 0 && start <= end && end <= source.length, 'the range lies in the bytes', start, end)
  if (end - start <= pieceBytes) {
    const view = start === 0 && end === source.length ? source : source.subarray(start, end)
    digestView.setBigUint64(0, api.h64Raw(view), true)
    return
  }
  const state = api.create64()
  feed(state, source, start, end)
  digestView.setBigUint64(0, state.digest(), true)
}

function feed(state: XXHash<bigint>, source: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at += pieceBytes) state.update(source.subarray(at, Math.min(end, at + pieceBytes)))
}

function putDigest(target: Uint8Array, position: number): void {
  assert(position >= 0 && position + 8 <= target.length, 'a checksum fits its target', position, target.length)
  for (let i = 0; i < 8; i++) target[position + i] = digest[i] as number
}

/** Writes the checksum of `source[start, end)` as eight bytes at `target[position]`. */
export function xxh64Into(source: Uint8Array, start: number, end: number, target: Uint8Array, position: number): void {
  hash(source, start, end)
  putDigest(target, position)
}

/** Whether the eight bytes at `target[position]` are the checksum of `source[start, end)`; false when they do not lie in `target`. */
export function xxh64Equals(source: Uint8Array, start: number, end: number, target: Uint8Array, position: number): boolean {
  hash(source, start, end)
  for (let i = 0; i < 8; i++) if (digest[i] !== target[position + i]) return false
  return true
}

/** The checksum of all of `source` as 16 hexadecimal digits. */
export function xxh64Hex(source: Uint8Array): string {
  hash(source, 0, source.length)
  return Buffer.from(digest).toString('hex')
}

/** The low 32 bits as an unsigned integer: enough to place a key in a table, not to protect bytes. */
export function xxh64Low32(source: Uint8Array, start: number, end: number): number {
  hash(source, start, end)
  return digestView.getUint32(0, true)
}

/** One checksum over bytes that arrive in pieces. `digestInto` may be called at any time and does not end it. */
export class Xxh64Stream {
  #state: XXHash<bigint>

  constructor() {
    assert(api !== undefined, 'loadChecksums() was awaited before the first checksum')
    this.#state = api.create64()
  }

  update(source: Uint8Array, start: number = 0, end: number = source.length): void {
    assert(start >= 0 && start <= end && end <= source.length, 'the range lies in the bytes', start, end)
    feed(this.#state, source, start, end)
  }

  digestInto(target: Uint8Array, position: number): void {
    digestView.setBigUint64(0, this.#state.digest(), true)
    putDigest(target, position)
  }
}

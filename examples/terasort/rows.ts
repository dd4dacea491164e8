/** Rows as those of the sort benchmark (sortbenchmark.org, gensort): 100 bytes, of which the first ten are a random key; the rest has the row's number. And what valsort checks of them. */
import { closeSync, fstatSync, openSync, readdirSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

export const rowBytes = 100
export const keyBytes = 10
const chunkRows = 20_000

/** Writes so many rows; the same for the same seed. */
export function writeRows(path: string, rows: number, seed: number = 1): void {
  const file = openSync(path, 'w')
  const chunk = Buffer.alloc(Math.min(rows, chunkRows) * rowBytes)
  let state = seed | 0
  for (let first = 0; first < rows; first += chunkRows) {
    const count = Math.min(chunkRows, rows - first)
    for (let i = 0, at = 0; i < count; i++, at += rowBytes) {
      for (let b = 0; b < keyBytes; b += 2) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0 // Numerical Recipes' generator, whose upper bits are the good ones
        chunk.writeUInt16BE(state >>> 16, at + b)
      }
      chunk.writeUInt16BE(0x0011, at + 10)
      chunk.write((first + i).toString(16).padStart(32, '0'), at + 12, 'latin1')
      chunk.writeUInt32BE(0x8899aabb, at + 44)
      for (let b = 48; b < 96; b++) chunk[at + b] = 0x30 + (((first + i) >> ((b >> 2) & 7)) & 15)
      chunk.writeUInt32BE(0xccddeeff, at + 96)
    }
    writeSync(file, chunk, 0, count * rowBytes)
  }
  closeSync(file)
}

/** What there is in files one after the other: rows, the sum of the rows' CRC-32s, and rows whose key is below that of the one before. */
export interface Checked {
  readonly rows: number
  readonly checksum: number
  readonly unordered: number
}

export function checkRows(paths: readonly string[]): Checked {
  const chunk = Buffer.alloc(chunkRows * rowBytes)
  const before = Buffer.alloc(keyBytes)
  let [rows, checksum, unordered] = [0, 0, 0]
  for (const path of paths) {
    const file = openSync(path, 'r')
    if (fstatSync(file).size % rowBytes !== 0) throw new Error(`${path} ends within a row`)
    for (let got = readSync(file, chunk); got > 0; got = readSync(file, chunk)) {
      for (let at = 0; at < got; at += rowBytes) {
        if (chunk.compare(before, 0, keyBytes, at, at + keyBytes) < 0) unordered++
        chunk.copy(before, 0, at, at + keyBytes)
        checksum += crc32(chunk.subarray(at, at + rowBytes))
        rows++
      }
    }
    closeSync(file)
  }
  return { rows, checksum, unordered }
}

/** The files of a folder in the order of their names. */
export const filesOf = (folder: string): string[] =>
  readdirSync(folder)
    .sort()
    .map(name => join(folder, name))

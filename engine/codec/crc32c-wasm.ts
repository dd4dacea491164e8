/**
 * Assembles the WebAssembly module that `crc32c.ts` runs: one function over one memory of two pages.
 *
 *   memory   tables: slices x 256 x i32, from byte 0; input: behind them
 *   update(crc, start, end) -> crc
 *     crc = ~crc
 *     while (start <= end - slices)                      one step takes `slices` bytes as 64-bit words w0, w1, ...
 *       w0 ^= crc
 *       crc = xor over every byte j of table[slices - 1 - j][byte j]     the four bytes that wait for the last step come last in the tree
 *     while (start < end) crc = (crc >>> 8) ^ table[0][(crc ^ byte) & 255]
 *     return ~crc
 *
 * Written as code rather than as a blob so that it can be read and checked; it runs once per thread and takes well under a millisecond.
 */

import { assembleModule, empty, i32, i64, op, signed, unsigned } from './wasm-code.ts'

/** Parameters, then locals. */
const crc = 0
const at = 1
const stop = 2
const fastStop = 3
const firstWord = 4

/** table[slices - 1 - j][byte j of the step]: the byte is shifted to where it is a table index times four. */
function lookUp(j: number, slices: number): number[] {
  const shift = 8 * (j % 8) - 2
  const word = [op.localGet, firstWord + Math.floor(j / 8)]
  const shifted = shift < 0 ? [op.i64Const, ...signed(-shift), op.i64Shl] : [op.i64Const, ...signed(shift), op.i64ShrU]
  return [...word, ...shifted, op.i32WrapI64, op.i32Const, ...signed(1020), op.i32And, op.i32Load, 2, ...unsigned((slices - 1 - j) * 1024)]
}

function xorTree(terms: number[][]): number[] {
  if (terms.length === 1) return terms[0] as number[]
  const half = terms.length >> 1
  return [...xorTree(terms.slice(0, half)), ...xorTree(terms.slice(half)), op.i32Xor]
}

function updateBody(slices: number): number[] {
  const words = slices / 8
  const terms = Array.from({ length: slices }, (_, j) => lookUp(j, slices))
  const loads: number[] = []
  for (let word = 0; word < words; word++) loads.push(op.localGet, at, op.i64Load, 0, ...unsigned(word * 8), op.localSet, firstWord + word)
  const invert = [op.localGet, crc, op.i32Const, ...signed(-1), op.i32Xor]
  return [
    ...[...invert, op.localSet, crc],
    ...[op.localGet, stop, op.i32Const, ...signed(slices), op.i32Sub, op.localSet, fastStop],
    ...[op.block, empty, op.loop, empty],
    ...[op.localGet, at, op.localGet, fastStop, op.i32GtS, op.brIf, 1],
    ...loads,
    ...[op.localGet, firstWord, op.localGet, crc, op.i64ExtendI32U, op.i64Xor, op.localSet, firstWord],
    ...[...xorTree(terms.slice(4)), ...xorTree(terms.slice(0, 4)), op.i32Xor, op.localSet, crc],
    ...[op.localGet, at, op.i32Const, ...signed(slices), op.i32Add, op.localSet, at],
    ...[op.br, 0, op.end, op.end],
    ...[op.block, empty, op.loop, empty],
    ...[op.localGet, at, op.localGet, stop, op.i32GeU, op.brIf, 1],
    ...[op.localGet, crc, op.i32Const, ...signed(8), op.i32ShrU],
    ...[op.localGet, crc, op.localGet, at, op.i32Load8U, 0, 0, op.i32Xor, op.i32Const, ...signed(255), op.i32And],
    ...[op.i32Const, ...signed(2), op.i32Shl, op.i32Load, 2, 0, op.i32Xor, op.localSet, crc],
    ...[op.localGet, at, op.i32Const, ...signed(1), op.i32Add, op.localSet, at],
    ...[op.br, 0, op.end, op.end],
    ...invert,
  ]
}

/** The bytes of the module for 8, 16 or 32 slices. */
export function assembleSlicer(slices: number): Uint8Array<ArrayBuffer> {
  const locals = [i32, ...new Array<number>(slices / 8).fill(i64)]
  return assembleModule(2, [{ name: 'update', parameters: 3, locals, code: updateBody(slices) }])
}

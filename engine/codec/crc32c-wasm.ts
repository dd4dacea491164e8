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

const i32 = 0x7f
const i64 = 0x7e
const empty = 0x40
const block = 0x02
const loop = 0x03
const branch = 0x0c
const branchIf = 0x0d
const end = 0x0b
const localGet = 0x20
const localSet = 0x21
const i32Load = 0x28
const i64Load = 0x29
const i32Load8U = 0x2d
const i32Const = 0x41
const i64Const = 0x42
const i32GreaterS = 0x4a
const i32GreaterEqualU = 0x4f
const i32Add = 0x6a
const i32Subtract = 0x6b
const i32And = 0x71
const i32Xor = 0x73
const i32ShiftLeft = 0x74
const i32ShiftRightU = 0x76
const i64Xor = 0x85
const i64ShiftLeft = 0x86
const i64ShiftRightU = 0x88
const i32WrapI64 = 0xa7
const i64ExtendI32U = 0xad

/** Parameters, then locals. */
const crc = 0
const at = 1
const stop = 2
const fastStop = 3
const firstWord = 4

function unsigned(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  bytes.push(rest)
  return bytes
}

function signed(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest < -0x40 || rest >= 0x40; rest >>= 7) bytes.push((rest & 0x7f) | 0x80)
  bytes.push(rest & 0x7f)
  return bytes
}

function section(id: number, ...items: number[][]): number[] {
  const body = [...unsigned(items.length), ...items.flat()]
  return [id, ...unsigned(body.length), ...body]
}

function exported(name: string, kind: number, index: number): number[] {
  return [name.length, ...Array.from(name, letter => letter.charCodeAt(0)), kind, index]
}

/** table[slices - 1 - j][byte j of the step]: the byte is shifted to where it is a table index times four. */
function lookUp(j: number, slices: number): number[] {
  const shift = 8 * (j % 8) - 2
  const word = [localGet, firstWord + Math.floor(j / 8)]
  const shifted = shift < 0 ? [i64Const, ...signed(-shift), i64ShiftLeft] : [i64Const, ...signed(shift), i64ShiftRightU]
  return [...word, ...shifted, i32WrapI64, i32Const, ...signed(1020), i32And, i32Load, 2, ...unsigned((slices - 1 - j) * 1024)]
}

function xorTree(terms: number[][]): number[] {
  if (terms.length === 1) return terms[0] as number[]
  const half = terms.length >> 1
  return [...xorTree(terms.slice(0, half)), ...xorTree(terms.slice(half)), i32Xor]
}

function updateBody(slices: number): number[] {
  const words = slices / 8
  const terms = Array.from({ length: slices }, (_, j) => lookUp(j, slices))
  const loads: number[] = []
  for (let word = 0; word < words; word++) loads.push(localGet, at, i64Load, 0, ...unsigned(word * 8), localSet, firstWord + word)
  const invert = [localGet, crc, i32Const, ...signed(-1), i32Xor]
  const code = [
    ...[...invert, localSet, crc],
    ...[localGet, stop, i32Const, ...signed(slices), i32Subtract, localSet, fastStop],
    ...[block, empty, loop, empty],
    ...[localGet, at, localGet, fastStop, i32GreaterS, branchIf, 1],
    ...loads,
    ...[localGet, firstWord, localGet, crc, i64ExtendI32U, i64Xor, localSet, firstWord],
    ...[...xorTree(terms.slice(4)), ...xorTree(terms.slice(0, 4)), i32Xor, localSet, crc],
    ...[localGet, at, i32Const, ...signed(slices), i32Add, localSet, at],
    ...[branch, 0, end, end],
    ...[block, empty, loop, empty],
    ...[localGet, at, localGet, stop, i32GreaterEqualU, branchIf, 1],
    ...[localGet, crc, i32Const, ...signed(8), i32ShiftRightU],
    ...[localGet, crc, localGet, at, i32Load8U, 0, 0, i32Xor, i32Const, ...signed(255), i32And],
    ...[i32Const, ...signed(2), i32ShiftLeft, i32Load, 2, 0, i32Xor, localSet, crc],
    ...[localGet, at, i32Const, ...signed(1), i32Add, localSet, at],
    ...[branch, 0, end, end],
    ...[...invert, end],
  ]
  const body = [2, 1, i32, words, i64, ...code]
  return [...unsigned(body.length), ...body]
}

/** The bytes of the module for 8, 16 or 32 slices. */
export function assembleSlicer(slices: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [0x60, 3, i32, i32, i32, 1, i32]),
    ...section(3, [0]),
    ...section(5, [0, 2]),
    ...section(7, exported('memory', 2, 0), exported('update', 0, 0)),
    ...section(10, updateBody(slices)),
  ])
}

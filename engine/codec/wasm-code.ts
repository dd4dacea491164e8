/**
 * What hand-written WebAssembly modules are made of: opcodes by name, numbers as LEB128, sections. `crc32c-wasm.ts` and `compute/group/word-kernel-code.ts` write their functions with it.
 * Only what they use is here.
 */

/** Opcodes, with the names that the specification gives them. */
export const op = {
  block: 0x02,
  loop: 0x03,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  i32Load: 0x28,
  i64Load: 0x29,
  i32Load8U: 0x2d,
  i32Store: 0x36,
  i64Store: 0x37,
  i32Store8: 0x3a,
  i32Const: 0x41,
  i64Const: 0x42,
  i32Eqz: 0x45,
  i32Ne: 0x47,
  i32LtU: 0x49,
  i32GtS: 0x4a,
  i32GeU: 0x4f,
  i64Eqz: 0x50,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32And: 0x71,
  i32Or: 0x72,
  i32Xor: 0x73,
  i32Shl: 0x74,
  i32ShrU: 0x76,
  i64Ctz: 0x7a,
  i64Popcnt: 0x7b,
  i64Add: 0x7c,
  i64Sub: 0x7d,
  i64Mul: 0x7e,
  i64And: 0x83,
  i64Or: 0x84,
  i64Xor: 0x85,
  i64Shl: 0x86,
  i64ShrU: 0x88,
  i32WrapI64: 0xa7,
  i64ExtendI32U: 0xad,
} as const

/** Of vectors of sixteen bytes. */
export const simd = {
  load: [0xfd, 0x00],
  splat8: [0xfd, 0x0f],
  equal8: [0xfd, 0x23],
  lessEqual8: [0xfd, 0x2a],
  or: [0xfd, 0x50],
  bitmask8: [0xfd, 0x64],
  subtract8: [0xfd, 0x71],
} as const

export const i32 = 0x7f
export const i64 = 0x7e
export const v128 = 0x7b
/** Of a block that gives nothing. */
export const empty = 0x40

export function unsigned(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  bytes.push(rest)
  return bytes
}

export function signed(value: number | bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt(value)
  for (; rest < -0x40n || rest >= 0x40n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest & 0x7fn))
  return bytes
}

function section(id: number, ...items: number[][]): number[] {
  const body = [...unsigned(items.length), ...items.flat()]
  return [id, ...unsigned(body.length), ...body]
}

function exported(name: string, kind: number, index: number): number[] {
  return [name.length, ...Array.from(name, letter => letter.charCodeAt(0)), kind, index]
}

const exportedFunction = 0
const exportedMemory = 2

/** A function of `parameters` integers of 32 bits that gives one. */
export interface WasmFunction {
  readonly name: string
  readonly parameters: number
  /** Types of the locals behind the parameters. */
  readonly locals: readonly number[]
  /** Without its last `end`. */
  readonly code: readonly number[]
}

/** The bytes of a module with these functions over one memory of so many pages of 64 KiB, exported as `memory`. */
export function assembleModule(pages: number, functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const types = functions.map(({ parameters }) => [0x60, parameters, ...new Array<number>(parameters).fill(i32), 1, i32])
  const bodies = functions.map(({ locals, code }) => {
    const body = [...unsigned(locals.length), ...locals.flatMap(type => [1, type]), ...code, op.end]
    return [...unsigned(body.length), ...body]
  })
  const exports = [exported('memory', exportedMemory, 0), ...functions.map(({ name }, i) => exported(name, exportedFunction, i))]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, ...types),
    ...section(3, ...functions.map((_, i) => unsigned(i))),
    ...section(5, [0, ...unsigned(pages)]),
    ...section(7, ...exports),
    ...section(10, ...bodies),
  ])
}

/**
 * Assembles the WebAssembly module that `word-kernel.ts` runs: words of a text, and their numbers out of a table of those seen before, without a branch that depends on what a word is.
 *
 *   split(at, end, startsMax) -> words        64 bytes a step become a mask of those that are no space; where it changes, words begin and end
 *     starts, ends: their positions           at most `startsMax` + 31 of them; `resume`: where the next call goes on
 *   find(words) -> misses                     of each word, the first 16 bytes w as two i64, what lies behind it 0
 *     groups[k] = its number, or -1, and then misses[...] = k
 *   keep(misses) -> 0                         their numbers, which groups[k] has now, go into the table, some of them in the place of others
 *
 * The table has sets of 64 bytes, a line of the processor's cache, of three words each: 3 x w, 3 x (number + 1) as i32, 3 x size as u8, the place that is used next as u8. A word of
 * more than 16 bytes has size 17 here, which none in the table has.
 */
import { wasm } from '../../engine/index.ts'

const { assembleModule, empty, i32, i64, op, signed, simd, unsigned, v128 } = wasm

/** Words that are asked for at a time. */
export const KERNEL_WORDS_MAX = 8192
/** Bytes of text at a time. */
export const KERNEL_TEXT_BYTES: number = 64 << 10
const SETS_BITS = 14
const SET_BYTES = 64
const WAYS = 3
/** Of so many words for which a set has no free place, one gets that of another: frequent words come again soon and stay longer than rare ones. A power of two. */
const KEPT_OF = 8

/** Read, and written, beyond the last word, by whoever does many at a time. */
const SLACK = 64
const WORDS_BYTES = 4 * (KERNEL_WORDS_MAX + 2 * SLACK)

export const RESUME_AT = 0
export const MASKS_AT = 64
export const STARTS_AT: number = MASKS_AT + 64 * 5
export const ENDS_AT: number = STARTS_AT + WORDS_BYTES
export const GROUPS_AT: number = ENDS_AT + WORDS_BYTES
export const MISSES_AT: number = GROUPS_AT + WORDS_BYTES
export const SETS_AT: number = MISSES_AT + WORDS_BYTES
export const TEXT_AT: number = SETS_AT + (SET_BYTES << SETS_BITS)
const MEMORY_PAGES: number = Math.ceil((TEXT_AT + KERNEL_TEXT_BYTES + 2 * SLACK) / 0x10000)

/** By size up to 17, what of the sixteen bytes at a word belongs to it; as it lies at `MASKS_AT`. */
export const MASKS: Uint8Array = Uint8Array.from({ length: 16 * 18 }, (_, i) => (i % 16 < i >> 4 ? 0xff : 0))

/** Odd, with bits all over: the product's upper bits depend on all bytes. */
const FACTOR_LOW: bigint = 0x9e3779b97f4a7c15n - (1n << 64n)
const FACTOR_HIGH: bigint = 0xc2b2ae3d27d4eb4fn - (1n << 64n)

type Code = number[]

const get = (local: number): Code => [op.localGet, ...unsigned(local)]
const set = (local: number, ...value: Code[]): Code => [...value.flat(), op.localSet, ...unsigned(local)]
const int = (value: number): Code => [op.i32Const, ...signed(value)]
const long = (value: bigint): Code => [op.i64Const, ...signed(value)]
const both = (opcode: number, a: Code, b: Code): Code => [...a, ...b, opcode]
const load = (opcode: number, address: Code, offset: number): Code => [...address, opcode, 0, ...unsigned(offset)]
const store = (opcode: number, address: Code, value: Code, offset: number): Code => [...address, ...value, opcode, 0, ...unsigned(offset)]
const widened = (value: Code): Code => [...value, op.i64ExtendI32U]
/** As long as `condition`, which is asked first. */
const whileLoop = (condition: Code, ...body: Code[]): Code => [
  ...[op.block, empty, op.loop, empty, ...condition, op.i32Eqz, op.brIf, 1],
  ...[...body.flat(), op.br, 0, op.end, op.end],
]
const when = (condition: Code, ...body: Code[]): Code => [op.block, empty, ...condition, op.i32Eqz, op.brIf, 0, ...body.flat(), op.end]

function splitFunction(): wasm.WasmFunction {
  const [at, end, startsMax, starts, startsEnd, ends, list, bytes, inside, words, before, mask, carry] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
  ] as const
  /** Of sixteen bytes, a bit for each space: 0x20, and TAB to CR. */
  const spaces = (offset: number): Code => {
    const vector = [...get(at), ...simd.load, 0, ...unsigned(TEXT_AT + offset), op.localTee, bytes]
    const isSpace = [...vector, ...int(0x20), ...simd.splat8, ...simd.equal8]
    const isControl = [...get(bytes), ...int(9), ...simd.splat8, ...simd.subtract8, ...int(4), ...simd.splat8, ...simd.lessEqual8]
    return widened([...isSpace, ...isControl, ...simd.or, ...simd.bitmask8])
  }
  const allSpaces = [1, 2, 3].reduce<Code>(
    (so, part) => both(op.i64Or, so, both(op.i64Shl, spaces(16 * part), long(BigInt(16 * part)))),
    spaces(0),
  )
  /** The lowest bit of the mask as a position. */
  const writeOne = (offset: number): Code => [
    ...store(op.i32Store, get(list), both(op.i32Add, get(at), [...get(mask), op.i64Ctz, op.i32WrapI64]), offset),
    ...set(mask, both(op.i64And, get(mask), both(op.i64Sub, get(mask), long(1n)))),
  ]
  /** Positions of the mask's bits to `pointer`: eight without asking how many there are, then as many at a time as long as there are more. */
  const writeAll = (pointer: number): Code => [
    ...set(list, get(pointer)),
    ...set(pointer, both(op.i32Add, get(pointer), both(op.i32Shl, [...get(mask), op.i64Popcnt, op.i32WrapI64], int(2)))),
    ...Array.from({ length: 8 }, (_, i) => writeOne(4 * i)).flat(),
    ...whileLoop(
      [...get(mask), op.i64Eqz, op.i32Eqz],
      set(list, both(op.i32Add, get(list), int(32))),
      ...Array.from({ length: 8 }, (_, i) => writeOne(4 * i)),
    ),
  ]
  const left = both(op.i32Sub, get(end), get(at))
  const code = [
    ...set(starts, int(STARTS_AT)),
    ...set(ends, int(ENDS_AT)),
    ...set(startsEnd, both(op.i32Add, int(STARTS_AT), both(op.i32Shl, get(startsMax), int(2)))),
    ...whileLoop(
      both(op.i32And, both(op.i32LtU, get(at), get(end)), both(op.i32LtU, get(starts), get(startsEnd))),
      set(words, both(op.i64Xor, allSpaces, long(-1n))),
      when(
        both(op.i32LtU, left, int(64)),
        set(words, both(op.i64And, get(words), both(op.i64Sub, both(op.i64Shl, long(1n), widened(left)), long(1n)))),
      ),
      set(before, both(op.i64Or, both(op.i64Shl, get(words), long(1n)), get(carry))),
      set(carry, both(op.i64ShrU, get(words), long(63n))),
      set(mask, both(op.i64And, get(words), both(op.i64Xor, get(before), long(-1n)))),
      writeAll(starts),
      set(mask, both(op.i64And, get(before), both(op.i64Xor, get(words), long(-1n)))),
      writeAll(ends),
      set(at, both(op.i32Add, get(at), int(64))),
    ),
    // A word that is begun: it ends with the text, or the next call begins with it.
    ...set(inside, [...get(carry), op.i32WrapI64]),
    ...when(
      get(inside),
      set(starts, both(op.i32Sub, get(starts), int(4))),
      when(both(op.i32GeU, get(at), get(end)), store(op.i32Store, get(ends), get(end), 0), set(ends, both(op.i32Add, get(ends), int(4)))),
      when(both(op.i32LtU, get(at), get(end)), set(at, load(op.i32Load, get(starts), 0))),
    ),
    ...store(op.i32Store, int(0), get(at), RESUME_AT),
    ...both(op.i32ShrU, both(op.i32Sub, get(ends), int(ENDS_AT)), int(2)),
  ]
  return { name: 'split', parameters: 3, locals: [i32, i32, i32, i32, v128, i32, i64, i64, i64, i64], code }
}

/** What `find` and `keep` have in common: the first sixteen bytes, the size, and the set of word `k4 / 4`. */
function readWord(k4: number, start: number, size: number, low: number, high: number, place: number): Code {
  const sizeOf = both(op.i32Sub, load(op.i32Load, get(k4), ENDS_AT), get(start))
  const masks = both(op.i32Shl, get(size), int(4))
  const hash = both(op.i64Add, both(op.i64Mul, get(low), long(FACTOR_LOW)), both(op.i64Mul, get(high), long(FACTOR_HIGH)))
  return [
    ...set(start, load(op.i32Load, get(k4), STARTS_AT)),
    ...set(size, sizeOf),
    ...set(size, [...get(size), ...int(17), ...both(op.i32LtU, get(size), int(17)), op.select]),
    ...set(low, both(op.i64And, load(op.i64Load, get(start), TEXT_AT), load(op.i64Load, masks, MASKS_AT))),
    ...set(high, both(op.i64And, load(op.i64Load, get(start), TEXT_AT + 8), load(op.i64Load, masks, MASKS_AT + 8))),
    ...set(place, both(op.i32Shl, [...both(op.i64ShrU, hash, long(BigInt(64 - SETS_BITS))), op.i32WrapI64], int(6))),
  ]
}

const groupOffset = (way: number): number => SETS_AT + 16 * WAYS + 4 * way
const sizeOffset = (way: number): number => SETS_AT + 20 * WAYS + way
const nextOffset: number = SETS_AT + 21 * WAYS

/** The number + 1 of the word in its set; 0: it is not there. */
function numberInSet(size: number, low: number, high: number, place: number): Code {
  const ways = Array.from({ length: WAYS }, (_, way) => {
    const differs = [
      both(op.i64Xor, get(low), load(op.i64Load, get(place), SETS_AT + 16 * way)),
      both(op.i64Xor, get(high), load(op.i64Load, get(place), SETS_AT + 16 * way + 8)),
      widened(both(op.i32Xor, get(size), load(op.i32Load8U, get(place), sizeOffset(way)))),
    ].reduce((a, b) => both(op.i64Or, a, b))
    return [...load(op.i32Load, get(place), groupOffset(way)), ...int(0), ...differs, op.i64Eqz, op.select]
  })
  return ways.reduce((a, b) => both(op.i32Or, a, b))
}

function findFunction(): wasm.WasmFunction {
  const [words4, k4, start, size, low, high, place, number, misses] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const
  const code: number[] = [
    ...set(words4, both(op.i32Shl, get(words4), int(2))),
    ...whileLoop(
      both(op.i32LtU, get(k4), get(words4)),
      readWord(k4, start, size, low, high, place),
      set(number, numberInSet(size, low, high, place)),
      store(op.i32Store, get(k4), both(op.i32Sub, get(number), int(1)), GROUPS_AT),
      store(op.i32Store, get(misses), both(op.i32ShrU, get(k4), int(2)), MISSES_AT),
      set(misses, both(op.i32Add, get(misses), both(op.i32Shl, [...get(number), op.i32Eqz], int(2)))),
      set(k4, both(op.i32Add, get(k4), int(4))),
    ),
    ...both(op.i32ShrU, get(misses), int(2)),
  ]
  return { name: 'find', parameters: 1, locals: [i32, i32, i32, i64, i64, i32, i32, i32], code }
}

function keepFunction(): wasm.WasmFunction {
  const [misses4, i4, k4, start, size, low, high, place, way, group] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const
  const isFresh = [...numberInSet(size, low, high, place), op.i32Eqz]
  const isShort = both(op.i32LtU, get(size), int(17))
  const isThere = [...both(op.i32Xor, get(group), int(-1)), op.i32Eqz, op.i32Eqz]
  const ofWay = (bytes: number): Code => both(op.i32Add, get(place), both(op.i32Mul, get(way), int(bytes)))
  const isTurn = [...both(op.i32And, get(i4), int(4 * (KEPT_OF - 1))), op.i32Eqz]
  const nextWay = both(op.i32Add, get(way), int(1))
  const code = [
    ...set(misses4, both(op.i32Shl, get(misses4), int(2))),
    ...whileLoop(
      both(op.i32LtU, get(i4), get(misses4)),
      set(k4, both(op.i32Shl, load(op.i32Load, get(i4), MISSES_AT), int(2))),
      set(group, load(op.i32Load, get(k4), GROUPS_AT)),
      readWord(k4, start, size, low, high, place),
      when(
        both(op.i32And, both(op.i32And, isShort, isThere), isFresh),
        set(way, load(op.i32Load8U, get(place), nextOffset)),
        when(
          both(op.i32Or, [...load(op.i32Load, ofWay(4), groupOffset(0)), op.i32Eqz], isTurn),
          store(op.i64Store, ofWay(16), get(low), SETS_AT),
          store(op.i64Store, ofWay(16), get(high), SETS_AT + 8),
          store(op.i32Store, ofWay(4), both(op.i32Add, get(group), int(1)), groupOffset(0)),
          store(op.i32Store8, ofWay(1), get(size), sizeOffset(0)),
          store(op.i32Store8, get(place), [...nextWay, ...int(0), ...both(op.i32Ne, get(way), int(WAYS - 1)), op.select], nextOffset),
        ),
      ),
      set(i4, both(op.i32Add, get(i4), int(4))),
    ),
    ...int(0),
  ]
  return { name: 'keep', parameters: 1, locals: [i32, i32, i32, i32, i64, i64, i32, i32, i32], code }
}

export function assembleWordKernel(): Uint8Array<ArrayBuffer> {
  return assembleModule(MEMORY_PAGES, [splitFunction(), findFunction(), keepFunction()])
}

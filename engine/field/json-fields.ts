/**
 * Fields out of JSON text without parsing the rows, in the manner of `msgpack-fields.ts`: wanted names of the outer object are found by their bytes; numbers and text
 * without escapes are taken where they lie; everything else goes through `JSON.parse`.
 *
 * What is stepped over is not checked beyond the balance of quotes and brackets, and a name that an object has twice counts where it stands first. Text that ends inside a
 * value, or where a value cannot be, is CORRUPT with its position. A row that is neither object nor list has no fields.
 */
import { damagedBytes } from '../codec/damage.ts'
import { readText } from '../codec/text.ts'
import { childNamed, childNumbered, type FieldNode } from './field-tree.ts'
import type { EncodedRange } from './row-codec.ts'
import type { Vector } from './vector.ts'
import { VectorBuilder } from './vector-builder.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const depthMax = 1000
/** Whole numbers of so many digits are exact. */
const exactDigitsMax = 15
const powersOfTen = Array.from({ length: 23 }, (_, i) => 10 ** i)
/** Buffer's own, which takes any Uint8Array. */
const { latin1Slice } = Buffer.prototype as unknown as { latin1Slice(this: Uint8Array, start: number, end: number): string }

export class JsonFields {
  readonly #root: FieldNode
  readonly #builders: readonly VectorBuilder[]
  #bytes: Uint8Array = new Uint8Array(0)
  #end = 0
  /** Number of the row in the builders. */
  #row = 0
  /** Wanted fields of the row that were not found yet. */
  #missing = 0
  /** Whether the string that `#stringEnd` passed has escapes. */
  #escaped = false

  /** `leaves`: how many fields the tree has. */
  constructor(root: FieldNode, leaves: number) {
    this.#root = root
    this.#builders = Array.from({ length: leaves }, () => new VectorBuilder())
  }

  /** A vector of each field, in the order of the leaves. */
  read({ size, bytes, starts, ends }: EncodedRange): Vector[] {
    this.#bytes = bytes
    const builders = this.#builders
    for (const builder of builders) builder.begin(size, bytes)
    for (let row = 0; row < size; row++) this.#readRow(row, starts[row] as number, ends[row] as number)
    return builders.map(builder => builder.finish())
  }

  /** Each builder gets one value; `end <= start` is a row of nothing. */
  #readRow(row: number, start: number, end: number): void {
    const builders = this.#builders
    this.#row = row
    this.#missing = builders.length
    this.#end = end
    if (end > start) {
      const at = this.#space(start)
      const opening = at < end ? this.#bytes[at] : undefined
      if (opening === OPEN_OBJECT) this.#object(this.#root, at, 0)
      else if (opening === OPEN_LIST) this.#list(this.#root, at, 0)
    }
    if (this.#missing > 0) for (const builder of builders) if (builder.size === row) builder.null()
  }

  /** Position after the object at `at`; -1 when all wanted fields of the row were found. */
  #object(node: FieldNode, at: number, depth: number): number {
    const bytes = this.#bytes
    let position = this.#space(at + 1)
    if (bytes[position] === CLOSE_OBJECT && position < this.#end) return position + 1
    for (;;) {
      if (bytes[position] !== QUOTE || position >= this.#end) throw this.#damage(position)
      const after = this.#stringEnd(position)
      const child = this.#escaped ? this.#childEscaped(node, position, after) : childNamed(node, bytes, position + 1, after - position - 2)
      position = this.#space(after)
      if (bytes[position] !== COLON || position >= this.#end) throw this.#damage(position)
      position = this.#space(position + 1)
      position = child === undefined ? this.#skip(position) : this.#take(child, position, depth)
      if (position < 0) return position
      position = this.#space(position)
      const next = position < this.#end ? bytes[position] : undefined
      if (next === CLOSE_OBJECT) return position + 1
      if (next !== COMMA) throw this.#damage(position)
      position = this.#space(position + 1)
    }
  }

  #list(node: FieldNode, at: number, depth: number): number {
    const bytes = this.#bytes
    let position = this.#space(at + 1)
    if (bytes[position] === CLOSE_LIST && position < this.#end) return position + 1
    for (let i = 0; ; i++) {
      const child = childNumbered(node, i)
      position = child === undefined ? this.#skip(position) : this.#take(child, position, depth)
      if (position < 0) return position
      position = this.#space(position)
      const next = position < this.#end ? bytes[position] : undefined
      if (next === CLOSE_LIST) return position + 1
      if (next !== COMMA) throw this.#damage(position)
      position = this.#space(position + 1)
    }
  }

  #take(node: FieldNode, at: number, depth: number): number {
    let end = -2
    if (node.leaf >= 0) {
      const builder = this.#builders[node.leaf] as VectorBuilder
      if (builder.size > this.#row) return this.#skip(at)
      end = this.#add(builder, at)
      if (--this.#missing === 0) return -1
    }
    if (node.children.length > 0) {
      if (depth > depthMax) throw damagedBytes('value nests too deep', at)
      const first = at < this.#end ? this.#bytes[at] : undefined
      if (first === OPEN_OBJECT) return this.#object(node, at, depth + 1)
      if (first === OPEN_LIST) return this.#list(node, at, depth + 1)
    }
    return end === -2 ? this.#skip(at) : end
  }

  #add(builder: VectorBuilder, at: number): number {
    const bytes = this.#bytes
    if (at >= this.#end) throw this.#damage(at)
    const first = bytes[at] as number
    if (first === QUOTE) {
      const end = this.#stringEnd(at)
      if (this.#escaped) builder.any(this.#parse(at, end))
      else builder.text(at + 1, end - 1)
      return end
    }
    if (first === MINUS || (first >= 0x30 && first <= 0x39)) return this.#number(builder, at)
    const end = this.#skip(at)
    builder.any(this.#parse(at, end))
    return end
  }

  /** Decimals of up to 15 digits are exact as digits divided by a power of ten (Clinger's fast path); others are parsed by the platform. */
  #number(builder: VectorBuilder, start: number): number {
    const bytes = this.#bytes
    const end = this.#end
    let at = start
    if (bytes[at] === MINUS) at++
    let digits = 0
    let value = 0
    let point = -1
    for (; at < end; at++) {
      const byte = bytes[at] as number
      if (byte >= 0x30 && byte <= 0x39) {
        value = value * 10 + (byte - 0x30)
        digits++
      } else if (byte === 0x2e && point < 0) point = digits
      else break
    }
    const last = at < end ? (bytes[at] as number) : COMMA
    const scale = point < 0 ? 0 : digits - point
    const isPlain = digits > 0 && digits <= exactDigitsMax && last !== 0x65 && last !== 0x45 && point !== 0 && (point < 0 || scale > 0)
    const leading = bytes[bytes[start] === MINUS ? start + 1 : start] as number
    if (isPlain && (leading !== 0x30 || digits - scale === 1)) {
      const magnitude = scale === 0 ? value : value / (powersOfTen[scale] as number)
      builder.number(bytes[start] === MINUS ? -magnitude : magnitude)
      return at
    }
    const after = this.#skip(start)
    builder.any(this.#parse(start, after))
    return after
  }

  #parse(start: number, end: number): unknown {
    try {
      return JSON.parse(readText(this.#bytes, start, end))
    } catch (cause) {
      throw damagedBytes('value is not JSON', start, {}, cause)
    }
  }

  #childEscaped(node: FieldNode, start: number, end: number): FieldNode | undefined {
    const name = Buffer.from(this.#parse(start, end) as string)
    return childNamed(node, name, 0, name.length)
  }

  /** Position after the value at `at`. */
  #skip(at: number): number {
    const bytes = this.#bytes
    const end = this.#end
    const first = at < end ? (bytes[at] as number) : 0
    if (first === QUOTE) return this.#stringEnd(at)
    if (first !== OPEN_OBJECT && first !== OPEN_LIST) {
      let position = at
      while (position < end && isScalarByte(bytes[position] as number)) position++
      if (position === at) throw this.#damage(at)
      return position
    }
    let depth = 0
    for (let position = at; position < end; ) {
      const byte = bytes[position] as number
      if (byte === QUOTE) {
        position = this.#stringEnd(position)
        continue
      }
      position++
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        if (--depth === 0) return position
      }
    }
    throw this.#damage(end)
  }

  /** Position after the closing quote of the string whose opening one is at `at`. */
  #stringEnd(at: number): number {
    const bytes = this.#bytes
    const end = this.#end
    this.#escaped = false
    for (let position = at + 1; position < end; position++) {
      const byte = bytes[position]
      if (byte === QUOTE) return position + 1
      if (byte === BACKSLASH) {
        this.#escaped = true
        position++
      }
    }
    throw this.#damage(end)
  }

  #space(at: number): number {
    const bytes = this.#bytes
    let position = at
    while (position < this.#end) {
      const byte = bytes[position]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
      position++
    }
    return position
  }

  #damage(position: number): Error {
    const { length } = this.#bytes
    const found =
      position < this.#end && position < length ? JSON.stringify(latin1Slice.call(this.#bytes, position, position + 1)) : 'the end'
    return damagedBytes(`value is not JSON: ${found} where something else must be`, position)
  }
}

/** What numbers and the words true, false and null consist of. */
function isScalarByte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x2b || byte === MINUS || byte === 0x2e || byte === 0x45
  )
}

/**
 * Fields out of MessagePack without decoding the rows: finds the wanted keys of the outer map (and of maps and lists in it), puts numbers, truth values and ranges of text
 * into builders, and lets the codec decode what is none of these. What is not wanted is only stepped over.
 *
 * Objects may be records, which name a structure, a list of keys that many values share, and have values alone (docs/FORMAT.md, "structured object"): then the structure
 * says once for all of them which positions are wanted.
 *
 * Bytes come from checked blocks and batches; a value that is no MessagePack all the same is CORRUPT and never read beyond its end. A row that is neither map nor list
 * has no fields; of a key that a map has twice the first counts.
 */
import { assert, damagedBytes } from '../../engine/index.ts'
import type { RowCodec } from '../vector/row-codec.ts'
import type { VectorBuilder } from '../vector/vector-builder.ts'
import { childNamed, childNumbered, type FieldNode } from './field-tree.ts'

const depthMax = 1000

export class MsgpackFields {
  readonly #root: FieldNode
  readonly #builders: readonly VectorBuilder[]
  readonly #codec: RowCodec
  /** Whether bytes 40 to 7F begin records; else they are numbers. */
  readonly #hasRecords: boolean
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  #end = 0
  /** Number of the row in the builders. */
  #row = 0
  /** Wanted fields of the row that were not found yet. */
  #missing = 0

  constructor(root: FieldNode, builders: readonly VectorBuilder[], codec: RowCodec) {
    this.#root = root
    this.#builders = builders
    this.#codec = codec
    this.#hasRecords = codec.name === 'msgpack-structures'
  }

  /** Rows that follow lie in `bytes`. */
  source(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Adds the fields of the row in `[start, end)` to the builders, each of which gets one value; `end <= start` is a row of nothing. */
  read(start: number, end: number): void {
    const builders = this.#builders
    const first = builders[0] as VectorBuilder
    assert(builders.length > 0, 'some field is wanted')
    const row = first.size
    this.#row = row
    this.#missing = builders.length
    if (end > start) {
      this.#end = end
      this.#inside(this.#root, start, 0)
    }
    if (this.#missing > 0) for (const builder of builders) if (builder.size === row) builder.null()
  }

  /** Looks for the children of `node` in the map or list at `at`; returns the position after it, or -1 when all wanted fields of the row were found. */
  #inside(node: FieldNode, at: number, depth: number): number {
    const bytes = this.#bytes
    const tag = bytes[at] as number
    let count: number
    let position: number
    if (tag >= 0x80 && tag <= 0x8f) {
      count = tag & 0x0f
      position = at + 1
    } else if (tag === 0xde) {
      count = this.#u16(at + 1)
      position = at + 3
    } else if (tag === 0xdf) {
      count = this.#u32(at + 1)
      position = at + 5
    } else if ((tag >= 0x90 && tag <= 0x9f) || tag === 0xdc || tag === 0xdd) return this.#list(node, at, depth)
    else return this.#isRecord(tag) ? this.#record(node, at, depth) : this.#skip(at, depth)
    for (let i = 0; i < count; i++) {
      const key = bytes[position] as number
      let size: number
      let start: number
      if (key >= 0xa0 && key <= 0xbf) {
        size = key & 0x1f
        start = position + 1
      } else if (key === 0xd9) {
        size = this.#u8(position + 1)
        start = position + 2
      } else if (key === 0xda) {
        size = this.#u16(position + 1)
        start = position + 3
      } else {
        // A key that is no text: objects have none, but others' bytes may.
        position = this.#skip(this.#skip(position, depth), depth)
        continue
      }
      position = start + size
      const child = childNamed(node, bytes, start, size)
      position = child === undefined ? this.#skip(position, depth) : this.#take(child, position, depth)
      if (position < 0) return position
      if (position > this.#end) throw this.#cutOff(position)
    }
    return position
  }

  /** As `#inside`, of a record. */
  #record(node: FieldNode, at: number, depth: number): number {
    const number = this.#structureNumber(at)
    const places = node.places[number] ?? this.#place(node, number, at)
    let position = this.#afterStructure(at)
    for (let i = 0; i < places.length; i++) {
      const child = places[i]
      position = child === undefined ? this.#skip(position, depth) : this.#take(child, position, depth)
      if (position < 0) return position
      if (position > this.#end) throw this.#cutOff(position)
    }
    return position
  }

  /** Works out which children of `node` lie where in objects of a structure. */
  #place(node: FieldNode, number: number, at: number): readonly (FieldNode | undefined)[] {
    const places = this.#keysOf(number, at).map(key => {
      const name = Buffer.from(key)
      return childNamed(node, name, 0, name.length)
    })
    node.places[number] = places
    return places
  }

  /** Structures grow while values are written, so the codec is asked each time. */
  #keysOf(number: number, at: number): readonly string[] {
    const keys = this.#codec.structures?.[number]
    if (keys === undefined) throw damagedBytes('structure of the value is not known', at, { actual: number })
    return keys
  }

  #isRecord(tag: number): boolean {
    return this.#hasRecords && tag >= 0x40 && tag <= 0x7f
  }

  #structureNumber(at: number): number {
    const tag = this.#bytes[at] as number
    if (tag < 0x60) return tag - 0x40
    const high = this.#u8(at + 1)
    if (high !== 0) throw damagedBytes('structure of the value is not known', at, { actual: high })
    return tag - 0x40
  }

  #afterStructure(at: number): number {
    return at + ((this.#bytes[at] as number) < 0x60 ? 1 : 2)
  }

  #list(node: FieldNode, at: number, depth: number): number {
    const tag = this.#bytes[at] as number
    const count = tag === 0xdc ? this.#u16(at + 1) : tag === 0xdd ? this.#u32(at + 1) : tag & 0x0f
    let position = at + (tag === 0xdc ? 3 : tag === 0xdd ? 5 : 1)
    for (let i = 0; i < count; i++) {
      const child = childNumbered(node, i)
      position = child === undefined ? this.#skip(position, depth) : this.#take(child, position, depth)
      if (position < 0) return position
    }
    return position
  }

  /** Gives the value at `at` to the node's builder, looks inside for its children, and returns the position after it, or -1 as `#inside`. */
  #take(node: FieldNode, at: number, depth: number): number {
    let end = 0
    if (node.leaf >= 0) {
      const builder = this.#builders[node.leaf] as VectorBuilder
      // A key that comes a second time in one map, as foreign bytes may have it.
      if (builder.size > this.#row) return this.#skip(at, depth)
      end = this.#add(builder, at, depth)
      if (--this.#missing === 0) return -1
    }
    if (node.children.length === 0) return end
    if (at >= this.#end) throw this.#cutOff(at)
    if (depth > depthMax) throw damagedBytes('value nests too deep', at)
    return this.#inside(node, at, depth + 1)
  }

  #add(builder: VectorBuilder, at: number, depth: number): number {
    const bytes = this.#bytes
    const view = this.#view
    if (at >= this.#end) throw this.#cutOff(at)
    const tag = bytes[at] as number
    if (tag < 0x80 && !this.#isRecord(tag)) {
      builder.number(tag)
      return at + 1
    }
    if (tag >= 0xe0) {
      builder.number(tag - 0x100)
      return at + 1
    }
    if (tag >= 0xa0 && tag <= 0xbf) return this.#text(builder, at + 1, tag & 0x1f)
    if (tag >= 0xca && tag <= 0xd3) {
      const size = tag === 0xca ? 4 : tag === 0xcb ? 8 : 1 << ((tag - 0xcc) & 3)
      if (at + 1 + size > this.#end) throw this.#cutOff(at)
    }
    switch (tag) {
      case 0xc0:
        builder.null()
        return at + 1
      case 0xc2:
      case 0xc3:
        builder.boolean(tag === 0xc3)
        return at + 1
      case 0xca: {
        const end = at + 5
        // msgpackr rounds what it wrote as a short float to the digits that it has.
        builder.any(this.#codec.decode(bytes, at, end))
        return end
      }
      case 0xcb:
        builder.number(view.getFloat64(at + 1))
        return at + 9
      case 0xcc:
        builder.number(bytes[at + 1] as number)
        return at + 2
      case 0xcd:
        builder.number(view.getUint16(at + 1))
        return at + 3
      case 0xce:
        builder.number(view.getUint32(at + 1))
        return at + 5
      case 0xd0:
        builder.number(view.getInt8(at + 1))
        return at + 2
      case 0xd1:
        builder.number(view.getInt16(at + 1))
        return at + 3
      case 0xd2:
        builder.number(view.getInt32(at + 1))
        return at + 5
      case 0xd9:
        return this.#text(builder, at + 2, this.#u8(at + 1))
      case 0xda:
        return this.#text(builder, at + 3, this.#u16(at + 1))
      case 0xdb:
        return this.#text(builder, at + 5, this.#u32(at + 1))
      default: {
        const end = this.#skip(at, depth)
        // `undefined` inside an object is an extension of its own; the codec refuses it as a whole value.
        if (tag === 0xd4 && bytes[at + 1] === 0) builder.null()
        else builder.any(this.#codec.decode(bytes, at, end))
        return end
      }
    }
  }

  #text(builder: VectorBuilder, start: number, size: number): number {
    const end = start + size
    if (end > this.#end) throw this.#cutOff(start)
    builder.text(start, end)
    return end
  }

  /** The position after the value at `at`. */
  #skip(at: number, depth: number): number {
    const tag = this.#bytes[at] as number
    let end: number
    if (this.#isRecord(tag)) {
      const count = this.#keysOf(this.#structureNumber(at), at).length
      end = this.#skipMany(this.#afterStructure(at), count, depth)
    } else if (tag < 0x80 || tag >= 0xe0) end = at + 1
    else if (tag >= 0xa0 && tag <= 0xbf) end = at + 1 + (tag & 0x1f)
    else if (tag <= 0x8f) end = this.#skipMany(at + 1, 2 * (tag & 0x0f), depth)
    else if (tag <= 0x9f) end = this.#skipMany(at + 1, tag & 0x0f, depth)
    else end = this.#skipLong(tag, at, depth)
    if (end > this.#end) throw this.#cutOff(at)
    return end
  }

  #skipLong(tag: number, at: number, depth: number): number {
    switch (tag) {
      case 0xc0:
      case 0xc2:
      case 0xc3:
        return at + 1
      case 0xcc:
      case 0xd0:
        return at + 2
      case 0xcd:
      case 0xd1:
        return at + 3
      case 0xca:
      case 0xce:
      case 0xd2:
        return at + 5
      case 0xcb:
      case 0xcf:
      case 0xd3:
        return at + 9
      case 0xc4:
      case 0xd9:
        return at + 2 + this.#u8(at + 1)
      case 0xc5:
      case 0xda:
        return at + 3 + this.#u16(at + 1)
      case 0xc6:
      case 0xdb:
        return at + 5 + this.#u32(at + 1)
      case 0xc7:
        return at + 3 + this.#u8(at + 1)
      case 0xc8:
        return at + 4 + this.#u16(at + 1)
      case 0xc9:
        return at + 6 + this.#u32(at + 1)
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return at + 2 + (1 << (tag - 0xd4))
      case 0xdc:
        return this.#skipMany(at + 3, this.#u16(at + 1), depth)
      case 0xdd:
        return this.#skipMany(at + 5, this.#u32(at + 1), depth)
      case 0xde:
        return this.#skipMany(at + 3, 2 * this.#u16(at + 1), depth)
      case 0xdf:
        return this.#skipMany(at + 5, 2 * this.#u32(at + 1), depth)
      default:
        throw damagedBytes('value is not MessagePack', at, { actual: tag })
    }
  }

  #skipMany(at: number, count: number, depth: number): number {
    if (depth > depthMax) throw damagedBytes('value nests too deep', at)
    let position = at
    for (let i = 0; i < count; i++) position = this.#skip(position, depth + 1)
    return position
  }

  #u8(at: number): number {
    if (at >= this.#end) throw this.#cutOff(at)
    return this.#bytes[at] as number
  }

  #u16(at: number): number {
    if (at + 2 > this.#end) throw this.#cutOff(at)
    return this.#view.getUint16(at)
  }

  #u32(at: number): number {
    if (at + 4 > this.#end) throw this.#cutOff(at)
    return this.#view.getUint32(at)
  }

  #cutOff(at: number): Error {
    return damagedBytes('value is cut off', at)
  }
}

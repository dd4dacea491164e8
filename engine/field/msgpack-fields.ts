/**
 * Fields out of MessagePack without decoding the rows, in two passes over a chunk. The first finds where the wanted values lie: it looks for their keys in the outer map (and in maps and
 * lists in it), and what is not wanted is only stepped over. The second makes a vector of each field, in a loop of its own for numbers and for text; what is neither goes through a
 * builder, and what is no scalar the codec decodes.
 *
 * Rows of one log mostly have the same keys in the same order. Such a *shape* is learned from a row, and while rows keep to it their keys are compared with those of the shape and nothing
 * is looked up. Objects may be records, which name a structure, a list of keys that many values share, and have values alone (docs/FORMAT.md, "structured object"): then the
 * structure is the shape.
 *
 * One file, although long: shapes, records and single keys step over the same values.
 *
 * Bytes come from checked blocks and batches; a value that is no MessagePack all the same is CORRUPT and never read beyond its end. A row that is neither map nor list
 * has no fields; of a key that a map has twice the first counts.
 */
import { damagedBytes } from '../codec/damage.ts'
import { childNamed, childNumbered, type FieldNode } from './field-tree.ts'
import type { EncodedRange, RowCodec } from './row-codec.ts'
import { NumberVector, nullVector, TextVector, type Vector } from './vector.ts'
import { VectorBuilder } from './vector-builder.ts'

const depthMax = 1000
/** Shapes that are remembered: rows of more kinds than that are looked through key by key. */
const shapesMax = 8

/** A key that is not wanted. */
const LEAF_NONE = -1
/** A key of which things inside are wanted. */
const LEAF_INSIDE = -2

/** By tag, the bytes of a value with its tag; 0: the tag alone does not say. Of codecs with records, tags of records are 0 too. */
const sizesOfTags: Uint8Array = Uint8Array.from({ length: 256 }, (_, tag) => {
  if (tag < 0x80 || tag >= 0xe0 || tag === 0xc0 || tag === 0xc2 || tag === 0xc3) return 1
  if (tag >= 0xa0 && tag <= 0xbf) return 1 + (tag & 0x1f)
  if (tag === 0xcc || tag === 0xd0) return 2
  if (tag === 0xcd || tag === 0xd1) return 3
  if (tag === 0xca || tag === 0xce || tag === 0xd2) return 5
  return tag === 0xcb || tag === 0xcf || tag === 0xd3 ? 9 : 0
})
const sizesWithRecords: Uint8Array = sizesOfTags.slice().fill(0, 0x40, 0x80)

/** Keys of a row and what is wanted of them, up to the last that is. */
interface Shape {
  /** First byte of the rows: the tag of a map with so many keys, or of a record. */
  readonly tag: number
  /** Where the first key begins, or of a record the first value, from the beginning of the row. */
  readonly head: number
  /** What is compared of the keys as rows have them, tags included, each as words of four bytes (the first byte lowest), the last filled up with zeros; of a record none. */
  readonly words: Int32Array
  /** Of each word, the bits that are the key's. */
  readonly masks: Int32Array
  /** Of each key, how many of `words` are its and those before it. */
  readonly wordEnds: Int32Array
  /** Of each key, its bytes. */
  readonly keySizes: Int32Array
  /** Bytes of the longest key, in whole words: what is read from where a key begins. */
  readonly reach: number
  readonly nodes: readonly (FieldNode | undefined)[]
  /** Of each key, the field that it is; `LEAF_NONE`; `LEAF_INSIDE`. */
  readonly leaves: Int32Array
}

/** `compared`: what is looked at of each key, from its beginning. */
function wordsOf(
  keys: readonly Uint8Array[],
  compared: readonly Uint8Array[],
): Pick<Shape, 'words' | 'masks' | 'wordEnds' | 'keySizes' | 'reach'> {
  const words: number[] = []
  const masks: number[] = []
  const wordEnds: number[] = []
  let reach = 0
  for (const [k, key] of keys.entries()) {
    const bytes = compared[k] as Uint8Array
    for (let at = 0; at < bytes.length; at += 4) {
      let [word, mask] = [0, 0]
      for (let i = 0; i < 4 && at + i < bytes.length; i++) {
        word |= (bytes[at + i] as number) << (8 * i)
        mask |= 0xff << (8 * i)
      }
      words.push(word)
      masks.push(mask)
    }
    reach = Math.max(reach, (key.length + 3) & ~3)
    wordEnds.push(words.length)
  }
  return {
    words: Int32Array.from(words),
    masks: Int32Array.from(masks),
    wordEnds: Int32Array.from(wordEnds),
    keySizes: Int32Array.from(keys, key => key.length),
    reach,
  }
}

/** Memory of a field's vectors, used again from chunk to chunk. */
class Memory {
  values: Float64Array = new Float64Array(0)
  starts: Int32Array = new Int32Array(0)
  ends: Int32Array = new Int32Array(0)
  #nulls: Uint8Array = new Uint8Array(0)

  noNulls(size: number): Uint8Array {
    if (this.#nulls.length < size) this.#nulls = new Uint8Array(size)
    return this.#nulls.fill(0, 0, size)
  }
}

export class MsgpackFields {
  readonly #root: FieldNode
  readonly #leaves: number
  readonly #codec: RowCodec
  /** Whether bytes 40 to 7F begin records; else they are numbers. */
  readonly #hasRecords: boolean
  readonly #sizes: Uint8Array
  readonly #builder = new VectorBuilder()
  #shapes: Shape[] = []
  /** The largest of the shapes'. */
  #reach = 0
  /** Index of the shape that the last row had. */
  #shape = 0
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  /** Rows of the chunk. */
  #size = 0
  /** What vectors of the last chunk lie in, by field. */
  readonly #memory: Memory[] = []
  /** Where values lie, by field, then by row; -1: the row does not have it. */
  #places: Int32Array = new Int32Array(0)
  #row = 0
  /** Where the row ends. */
  #end = 0
  /** Wanted fields of the row that were not found yet. */
  #missing = 0

  /** `leaves`: how many fields the tree has. */
  constructor(root: FieldNode, leaves: number, codec: RowCodec) {
    this.#root = root
    this.#leaves = leaves
    this.#codec = codec
    this.#hasRecords = codec.name === 'msgpack-structures'
    this.#sizes = this.#hasRecords ? sizesWithRecords : sizesOfTags
  }

  /** A vector of each field, in the order of the leaves; valid until the next call. */
  read(range: EncodedRange): Vector[] {
    const { size, bytes } = range
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#size = size
    if (this.#places.length < this.#leaves * size) this.#places = new Int32Array(this.#leaves * size)
    this.#places.fill(-1, 0, this.#leaves * size)
    for (let row = 0; row < size; ) row = this.#byShapes(range, row)
    return Array.from({ length: this.#leaves }, (_, leaf) => this.#vector(range, leaf))
  }

  /** Finds the fields of rows from `row` on, of some that are alike or of one; returns the next. */
  #byShapes(range: EncodedRange, row: number): number {
    const shapes = this.#shapes
    for (let s = 0; s < shapes.length; s++) {
      const index = (this.#shape + s) % shapes.length
      const next = this.#byShape(range, row, shapes[index] as Shape)
      if (next === row) continue
      this.#shape = index
      return next
    }
    this.#walk(range, row)
    // At the end of the bytes rows of known shapes come here too.
    if (shapes.length < shapesMax && (range.ends[row] as number) <= range.bytes.length - this.#reach) this.#learn(range, row)
    return row + 1
  }

  /** Finds the fields of rows from `row` on that have the shape, and returns the first that has not. */
  #byShape({ size, bytes, starts, ends }: EncodedRange, from: number, shape: Shape): number {
    const { tag, head, words, masks, wordEnds, keySizes, nodes, leaves } = shape
    const places = this.#places
    const sizes = this.#sizes
    const count = leaves.length
    const view = this.#view
    const readEnd = bytes.length - shape.reach
    for (let row = from; row < size; row++) {
      const start = starts[row] as number
      const end = ends[row] as number
      if (end <= start) continue
      if (bytes[start] !== tag || (head === 2 && tag >= 0x60 && bytes[start + 1] !== 0)) return row
      let at = start + head
      let word = 0
      for (let i = 0; i < count; i++) {
        const wordEnd = wordEnds[i] as number
        if (at > readEnd) return this.#otherShape(row) // the walk reads byte by byte
        // Of most keys the first word is all; of records there is none.
        if (word < wordEnd) {
          if (((view.getInt32(at, true) ^ (words[word] as number)) & (masks[word] as number)) !== 0) return this.#otherShape(row)
          for (let place = at + 4; ++word < wordEnd; place += 4) {
            if (((view.getInt32(place, true) ^ (words[word] as number)) & (masks[word] as number)) !== 0) return this.#otherShape(row)
          }
        }
        at += keySizes[i] as number
        const leaf = leaves[i] as number
        if (leaf >= 0) places[leaf * size + row] = at
        else if (leaf === LEAF_INSIDE) {
          this.#row = row
          this.#end = end
          this.#missing = Number.MAX_SAFE_INTEGER
          at = this.#take(nodes[i] as FieldNode, at, 0)
          continue
        }
        // The size of the last that is wanted is looked at with its value.
        if (leaf >= 0 && i === count - 1 && at < end) continue
        const bytesOf = sizes[bytes[at] as number] as number
        if (bytesOf > 0) at += bytesOf
        else {
          this.#end = end
          at = this.#skip(at, 0)
        }
        // Cut off: the walk says where.
        if (at > end || (at === end && i < count - 1)) return this.#otherShape(row)
      }
    }
    return size
  }

  /** Forgets what was found of a row. */
  #otherShape(row: number): number {
    for (let leaf = 0; leaf < this.#leaves; leaf++) this.#places[leaf * this.#size + row] = -1
    return row
  }

  /** Finds the fields of a row of any shape. */
  #walk({ starts, ends }: EncodedRange, row: number): void {
    const start = starts[row] as number
    const end = ends[row] as number
    if (end <= start) return
    this.#row = row
    this.#end = end
    this.#missing = this.#leaves
    this.#inside(this.#root, start, 0)
  }

  /** Remembers the shape of a row that was walked without an error. */
  #learn({ bytes, starts, ends }: EncodedRange, row: number): void {
    const start = starts[row] as number
    const tag = bytes[start] as number
    this.#end = ends[row] as number
    if (this.#end <= start) return
    const root = this.#root
    const nodes: (FieldNode | undefined)[] = []
    const keys: Uint8Array[] = []
    const compared: Uint8Array[] = []
    let head = 1
    if (this.#isRecord(tag)) {
      head = this.#afterStructure(start) - start
      for (const node of root.places[this.#structureNumber(start)] ?? []) nodes.push(node)
      for (const _ of nodes) keys.push(new Uint8Array(0))
      compared.push(...keys)
    } else {
      if (tag < 0x80 || tag > 0x8f) return
      let at = start + 1
      for (let i = 0; i < (tag & 0x0f); i++) {
        const keyTag = bytes[at] as number
        const headBytes = keyTag >= 0xa0 && keyTag <= 0xbf ? 1 : keyTag === 0xd9 ? 2 : 0
        if (headBytes === 0 || at + headBytes > this.#end) return
        const size = headBytes === 1 ? keyTag & 0x1f : (bytes[at + 1] as number)
        const end = at + headBytes + size
        if (end >= this.#end) return
        keys.push(bytes.slice(at, end))
        // Of a size that no wanted key has, it is none of them, whatever its name.
        compared.push(root.children.some(({ name }) => name.length === size) ? bytes.slice(at, end) : bytes.slice(at, at + headBytes))
        const node = childNamed(root, bytes, at + headBytes, size)
        // Of a key that is there twice the first counts.
        nodes.push(node !== undefined && nodes.includes(node) ? undefined : node)
        at = this.#skip(end, 0)
      }
    }
    // Where a wanted field is missing, all keys tell that it is.
    const hasAll = this.#isRecord(tag) || root.children.every(child => nodes.includes(child))
    while (hasAll && nodes.length > 0 && nodes.at(-1) === undefined) nodes.pop()
    const leaves = Int32Array.from(nodes, node => (node === undefined ? LEAF_NONE : node.children.length > 0 ? LEAF_INSIDE : node.leaf))
    const words = wordsOf(keys.slice(0, nodes.length), compared)
    this.#reach = Math.max(this.#reach, words.reach)
    this.#shapes.push({ tag, head, ...words, nodes, leaves })
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

  /** Notes where the value at `at` lies if it is wanted, looks inside for the node's children, and returns the position after it, or -1 as `#inside`. */
  #take(node: FieldNode, at: number, depth: number): number {
    if (at >= this.#end) throw this.#cutOff(at)
    let end = 0
    if (node.leaf >= 0) {
      const place = node.leaf * this.#size + this.#row
      end = this.#skip(at, depth)
      // A key that comes a second time in one map, as foreign bytes may have it.
      if ((this.#places[place] as number) >= 0) return end
      this.#places[place] = at
      if (--this.#missing === 0) return -1
    }
    if (node.children.length === 0) return end
    if (depth > depthMax) throw damagedBytes('value nests too deep', at)
    return this.#inside(node, at, depth + 1)
  }

  /** The field's values as the narrowest vector that holds them. */
  #vector({ ends }: EncodedRange, leaf: number): Vector {
    const size = this.#size
    const places = this.#places.subarray(leaf * size, (leaf + 1) * size)
    let first = 0
    while (first < size && ((places[first] as number) < 0 || this.#bytes[places[first] as number] === 0xc0)) first++
    if (first === size) return nullVector(size)
    const tag = this.#bytes[places[first] as number] as number
    const isText = (tag >= 0xa0 && tag <= 0xbf) || (tag >= 0xd9 && tag <= 0xdb)
    const memory = (this.#memory[leaf] ??= new Memory())
    return (isText ? this.#texts(places, ends, memory) : this.#numbers(places, ends, memory)) ?? this.#any(places, ends)
  }

  /** Undefined when there is something that is neither a number nor null. */
  #numbers(places: Int32Array, ends: Int32Array, memory: Memory): NumberVector | undefined {
    const bytes = this.#bytes
    const view = this.#view
    const smallEnd = this.#hasRecords ? 0x40 : 0x80
    const size = places.length
    if (memory.values.length < size) memory.values = new Float64Array(size)
    const { values } = memory
    let nulls: Uint8Array | undefined
    for (let row = 0; row < size; row++) {
      const at = places[row] as number
      const tag = at < 0 ? 0xc0 : (bytes[at] as number)
      if (tag < smallEnd) {
        values[row] = tag
        continue
      }
      if (tag === 0xc0) {
        nulls ??= memory.noNulls(size)
        nulls[row] = 1
        values[row] = 0
        continue
      }
      const bytesOf = tag >= 0xe0 ? 1 : tag >= 0xcb && tag <= 0xd2 && tag !== 0xcf ? (sizesOfTags[tag] as number) : 0
      if (bytesOf === 0) return undefined
      if (at + bytesOf > (ends[row] as number)) throw this.#cutOff(at)
      if (tag === 0xcb) values[row] = view.getFloat64(at + 1)
      else if (tag === 0xcd) values[row] = ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)
      else if (tag === 0xce) values[row] = view.getUint32(at + 1)
      else if (tag === 0xcc) values[row] = bytes[at + 1] as number
      else if (tag >= 0xe0) values[row] = tag - 0x100
      else if (tag === 0xd0) values[row] = view.getInt8(at + 1)
      else if (tag === 0xd1) values[row] = view.getInt16(at + 1)
      else values[row] = view.getInt32(at + 1)
    }
    return new NumberVector(values, nulls)
  }

  /** Undefined when there is something that is neither text nor null. */
  #texts(places: Int32Array, rowEnds: Int32Array, memory: Memory): TextVector | undefined {
    const bytes = this.#bytes
    const size = places.length
    if (memory.starts.length < size) {
      memory.starts = new Int32Array(size)
      memory.ends = new Int32Array(size)
    }
    const { starts, ends } = memory
    for (let row = 0; row < size; row++) {
      const at = places[row] as number
      const tag = at < 0 ? 0xc0 : (bytes[at] as number)
      if (tag >= 0xa0 && tag <= 0xbf) {
        starts[row] = at + 1
        ends[row] = at + 1 + (tag & 0x1f)
      } else if (tag === 0xc0) {
        starts[row] = -1
        continue
      } else if (tag >= 0xd9 && tag <= 0xdb) {
        this.#end = rowEnds[row] as number
        const start = at + (tag === 0xd9 ? 2 : tag === 0xda ? 3 : 5)
        starts[row] = start
        ends[row] = start + (tag === 0xd9 ? this.#u8(at + 1) : tag === 0xda ? this.#u16(at + 1) : this.#u32(at + 1))
      } else return undefined
      if ((ends[row] as number) > (rowEnds[row] as number)) throw this.#cutOff(starts[row] as number)
    }
    return new TextVector(bytes, starts, ends)
  }

  #any(places: Int32Array, ends: Int32Array): Vector {
    const builder = this.#builder
    builder.begin(places.length, this.#bytes)
    for (let row = 0; row < places.length; row++) {
      const at = places[row] as number
      this.#end = ends[row] as number
      if (at < 0) builder.null()
      else this.#add(builder, at)
    }
    return builder.finish()
  }

  /** Gives the value at `at` to the builder. */
  #add(builder: VectorBuilder, at: number): void {
    const bytes = this.#bytes
    const tag = bytes[at] as number
    const end = this.#skip(at, 0)
    if (tag < 0x80 && !this.#isRecord(tag)) builder.number(tag)
    else if (tag >= 0xa0 && tag <= 0xbf) builder.text(at + 1, end)
    else if (tag >= 0xd9 && tag <= 0xdb) builder.text(at + (tag === 0xd9 ? 2 : tag === 0xda ? 3 : 5), end)
    else if (tag === 0xc0) builder.null()
    else if (tag === 0xc2 || tag === 0xc3) builder.boolean(tag === 0xc3)
    // `undefined` inside an object is an extension of its own; the codec refuses it as a whole value.
    else if (tag === 0xd4 && bytes[at + 1] === 0) builder.null()
    else builder.any(this.#codec.decode(bytes, at, end))
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

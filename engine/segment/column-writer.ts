/**
 * Columns of a part while it is written: fields that its log's definition declares, taken out of every record, cut into groups of whole blocks (docs/FORMAT.md, "Columns").
 *
 * Made by the writer of the part's body, which tells of records and of the ends of blocks. Columns wait in memory and go out behind the body. They repeat what stands in the
 * records: a value whose fields cannot be read makes its group one without columns and never an error.
 */
import { RecordCursor } from '../batch/record-cursor.ts'
import { write32LE, writeU16LE } from '../codec/fixed-width.ts'
import { XXH64_BYTES, xxh64Into } from '../codec/xxh64.ts'
import { isVarveError } from '../errors.ts'
import { type FieldReader, fieldReader, readsFields } from '../field/field-reader.ts'
import type { Vector } from '../field/vector.ts'
import { ColumnBuilder } from './column-builder.ts'
import {
  COLUMN_ENTRY_BYTES,
  COLUMN_GROUP_FLAG_PLAIN,
  COLUMN_GROUP_HEADER_BYTES,
  COLUMN_OFFSET,
  COLUMN_TIME,
  COLUMNS_HEADER_BYTES,
} from './format.ts'
import { ByteBuilder, type SegmentOutput } from './output.ts'

/** Which fields become columns, and how values were encoded. Structured-clonable. */
export interface ColumnOptions {
  /** Paths; at least one. */
  readonly fields: readonly string[]
  /** Name of the codec of values. */
  readonly codec: string
  /** Of 'msgpack-structures'. */
  readonly structures?: readonly (readonly string[])[] | undefined
}

/** A group ends with the block in which it gets so many rows. */
const groupRows = 65_536

/** Columns are arrays as the machine has them, which the format wants to be little-endian: others write none, and read rows. */
export const hasColumns: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/** What decodes to something else than a number, a truth value or text is no column, whatever it is. */
const somethingElse = Symbol('a value that no column holds')

export class ColumnWriter {
  readonly #names: readonly string[]
  readonly #fields: readonly ColumnBuilder[]
  readonly #builders: readonly ColumnBuilder[]
  readonly #times: ColumnBuilder = new ColumnBuilder()
  readonly #offsets: ColumnBuilder = new ColumnBuilder()
  readonly #reader: FieldReader
  readonly #cursor: RecordCursor = new RecordCursor()
  #starts: Int32Array = new Int32Array(1024)
  #ends: Int32Array = new Int32Array(1024)
  #rows = 0
  /** Records that were noted and not added yet. */
  #waiting = 0
  #isPlain = true
  #groups = 0
  /** Blocks that are in groups. */
  #ended = 0
  /** Where the flags of the group before stand. */
  #lastFlags = 0
  readonly #entries: ByteBuilder = new ByteBuilder()
  readonly #columns: Uint8Array[] = []

  /** `isTopic`: records have times and offsets, which become columns too. */
  constructor({ fields, codec, structures }: ColumnOptions, isTopic: boolean) {
    this.#names = isTopic ? [...fields, COLUMN_TIME, COLUMN_OFFSET] : fields
    this.#fields = fields.map(() => new ColumnBuilder())
    this.#builders = isTopic ? [...this.#fields, this.#times, this.#offsets] : this.#fields
    this.#reader = fieldReader({ name: codec, structures, decode: () => somethingElse }, fields)
  }

  /** Whether columns can be made of such values. */
  static canWrite(options: ColumnOptions | undefined): options is ColumnOptions {
    return options !== undefined && hasColumns && options.fields.length > 0 && readsFields(options.codec)
  }

  /** The records of a topic batch that is no control batch. */
  addBatch(buffer: Uint8Array, position: number): void {
    const cursor = this.#cursor
    let rows = 0
    try {
      cursor.open(buffer, position)
      if (this.#starts.length < cursor.remaining) this.#grow(cursor.remaining)
      for (; cursor.remaining > 0; rows++) {
        cursor.next()
        this.#times.number(cursor.timestamp)
        this.#offsets.number(cursor.offset)
        this.#starts[rows] = cursor.valueSize < 0 ? -1 : cursor.valueStart
        this.#ends[rows] = cursor.valueSize < 0 ? -1 : cursor.valueStart + cursor.valueSize
      }
      this.#add(cursor.data, rows)
    } catch (error) {
      // Records that cannot be read, or not here: the group has no columns, and none of its times and offsets are asked for.
      if (!isVarveError(error, 'CORRUPT') && !isVarveError(error, 'CODEC_MISSING') && !isVarveError(error, 'TOO_LARGE')) throw error
      for (const builder of this.#builders) builder.other()
    } finally {
      cursor.close()
    }
  }

  /** Notes a record of the block that is open, by where its value will lie in it; -1: it has none. `isSameKey`: of the key of the record before. */
  addRecord(valueStart: number, valueEnd: number, isPlain: boolean, isSameKey: boolean): void {
    if (!isPlain || isSameKey) this.#isPlain = false
    if (isSameKey && this.#rows === 0 && this.#waiting === 0) this.#entries.bytes.fill(0, this.#lastFlags, this.#lastFlags + 4)
    if (this.#waiting === this.#starts.length) this.#grow(2 * this.#waiting)
    this.#starts[this.#waiting] = valueStart
    this.#ends[this.#waiting++] = valueEnd
  }

  /** The records that were noted lie in `block`. */
  addBlock(block: Uint8Array): void {
    const rows = this.#waiting
    this.#waiting = 0
    this.#add(block, rows)
  }

  /** `block` is complete; the next record is of the next one. */
  endBlock(block: number): void {
    if (this.#rows >= groupRows) this.#endGroup(block + 1)
  }

  /** Writes the columns behind the body. The table of the index section, for a part of `blockCount` blocks. */
  finish(blockCount: number, output: SegmentOutput): Uint8Array {
    if (this.#ended < blockCount) this.#endGroup(blockCount)
    for (const column of this.#columns) output.append(column)
    const table = new ByteBuilder()
    const header = table.reserve(COLUMNS_HEADER_BYTES)
    writeU16LE(table.bytes, header, this.#names.length)
    write32LE(table.bytes, header + 2, this.#groups)
    for (const name of this.#names) {
      const utf8 = new TextEncoder().encode(name)
      const at = table.reserve(2)
      writeU16LE(table.bytes, at, utf8.length)
      table.append(utf8)
    }
    table.append(this.#entries.view())
    return table.view()
  }

  #add(bytes: Uint8Array, size: number): void {
    this.#rows += size
    const { builders, starts, ends } = { builders: this.#fields, starts: this.#starts, ends: this.#ends }
    try {
      const vectors = this.#reader.read({ size, bytes, starts, ends })
      for (let i = 0; i < builders.length; i++) (builders[i] as ColumnBuilder).append(vectors[i] as Vector, size)
    } catch (error) {
      if (!isVarveError(error, 'CORRUPT')) throw error
      for (const builder of builders) builder.other(size)
    }
  }

  #grow(size: number): void {
    const [starts, ends] = [new Int32Array(size), new Int32Array(size)]
    starts.set(this.#starts)
    ends.set(this.#ends)
    this.#starts = starts
    this.#ends = ends
  }

  #endGroup(endBlock: number): void {
    const entries = this.#entries
    const at = entries.reserve(COLUMN_GROUP_HEADER_BYTES + this.#builders.length * COLUMN_ENTRY_BYTES)
    this.#ended = endBlock
    write32LE(entries.bytes, at, endBlock)
    write32LE(entries.bytes, at + 4, this.#rows)
    this.#lastFlags = at + 8
    write32LE(entries.bytes, at + 8, this.#isPlain ? COLUMN_GROUP_FLAG_PLAIN : 0)
    for (let i = 0; i < this.#builders.length; i++) {
      const builder = this.#builders[i] as ColumnBuilder
      const column = builder.finish()
      builder.clear()
      const entry = at + COLUMN_GROUP_HEADER_BYTES + i * COLUMN_ENTRY_BYTES
      write32LE(entries.bytes, entry, column.length)
      entries.bytes.fill(0, entry + 4, entry + 4 + XXH64_BYTES)
      if (column.length === 0) continue
      xxh64Into(column, 0, column.length, entries.bytes, entry + 4)
      this.#columns.push(column)
    }
    this.#groups++
    this.#rows = 0
    this.#isPlain = true
  }
}

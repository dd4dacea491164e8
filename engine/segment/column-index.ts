/**
 * Which columns a part has and where they lie: the table of its index section, read in place (docs/FORMAT.md, "Columns").
 *
 * Made by the part's index after the section's checksum matched. Positions are not stored: columns follow each other, group by group, field by field.
 */
import { damagedBytes } from '../codec/damage.ts'
import { readU16LE, readU32LE } from '../codec/fixed-width.ts'
import { assert } from '../errors.ts'
import {
  COLUMN_ALIGNMENT,
  COLUMN_ENTRY_BYTES,
  COLUMN_GROUP_FLAG_PLAIN,
  COLUMN_GROUP_HEADER_BYTES,
  COLUMN_HEADER_BYTES,
  COLUMNS_HEADER_BYTES,
} from './format.ts'

export class ColumnIndex {
  readonly bytes: Uint8Array
  /** Names of the fields. */
  readonly fields: readonly string[]
  readonly groupCount: number
  /** Of all columns together. */
  readonly byteCount: number
  readonly #groupsAt: number
  readonly #groupBytes: number
  /** Where the columns of a group begin; one more than there are groups. */
  readonly #positions: Float64Array

  /** CORRUPT with the position in the table. */
  constructor(bytes: Uint8Array, blockCount: number) {
    this.bytes = bytes
    if (bytes.length < COLUMNS_HEADER_BYTES) throw damagedBytes('table of columns is cut off', 0)
    const fieldCount = readU16LE(bytes, 0)
    this.groupCount = readU32LE(bytes, 2)
    const fields: string[] = []
    let at = COLUMNS_HEADER_BYTES
    const utf8 = new TextDecoder()
    for (let i = 0; i < fieldCount; i++) {
      const size = at + 2 > bytes.length ? 0 : readU16LE(bytes, at)
      if (at + 2 + size > bytes.length) throw damagedBytes('table of columns is cut off', at)
      fields.push(utf8.decode(bytes.subarray(at + 2, at + 2 + size)))
      at += 2 + size
    }
    this.fields = fields
    this.#groupsAt = at
    this.#groupBytes = COLUMN_GROUP_HEADER_BYTES + fieldCount * COLUMN_ENTRY_BYTES
    if (at + this.groupCount * this.#groupBytes !== bytes.length) {
      throw damagedBytes('table of columns has another size', at, { expected: this.groupCount, actual: bytes.length })
    }
    this.#positions = new Float64Array(this.groupCount + 1)
    let [position, block] = [0, 0]
    for (let group = 0; group < this.groupCount; group++) {
      const end = this.endBlock(group)
      if (end < block || (end === block && blockCount > 0)) throw damagedBytes('groups of columns are not in order', this.#at(group))
      block = end
      for (let field = 0; field < fieldCount; field++) {
        const size = this.columnBytes(group, field)
        if (size % COLUMN_ALIGNMENT !== 0 || (size > 0 && size < COLUMN_HEADER_BYTES)) {
          throw damagedBytes('column has an impossible size', this.#entry(group, field), { actual: size })
        }
        position += size
      }
      this.#positions[group + 1] = position
    }
    if (block !== blockCount)
      throw damagedBytes('groups of columns do not end with the blocks', at, { expected: blockCount, actual: block })
    this.byteCount = position
  }

  /** First block of the group. */
  firstBlock(group: number): number {
    return group === 0 ? 0 : this.endBlock(group - 1)
  }

  /** Exclusive. */
  endBlock(group: number): number {
    return readU32LE(this.bytes, this.#at(group))
  }

  rows(group: number): number {
    return readU32LE(this.bytes, this.#at(group) + 4)
  }

  /** Whether every record is a put that does not expire, and each key is there once. */
  isPlain(group: number): boolean {
    return (readU32LE(this.bytes, this.#at(group) + 8) & COLUMN_GROUP_FLAG_PLAIN) !== 0
  }

  /** The group that has the block. */
  groupOf(block: number): number {
    let from = 0
    let to = this.groupCount
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.endBlock(middle) <= block) from = middle + 1
      else to = middle
    }
    return from
  }

  /** 0: the field is no column in this group. */
  columnBytes(group: number, field: number): number {
    return readU32LE(this.bytes, this.#entry(group, field))
  }

  checksumAt(group: number, field: number): number {
    return this.#entry(group, field) + 4
  }

  /** From the end of the part's body. */
  columnPosition(group: number, field: number): number {
    let position = this.#positions[group] as number
    for (let before = 0; before < field; before++) position += this.columnBytes(group, before)
    return position
  }

  #entry(group: number, field: number): number {
    return this.#at(group) + COLUMN_GROUP_HEADER_BYTES + field * COLUMN_ENTRY_BYTES
  }

  #at(group: number): number {
    assert(group >= 0 && group < this.groupCount, 'a group of this part', group, this.groupCount)
    return this.#groupsAt + group * this.#groupBytes
  }
}

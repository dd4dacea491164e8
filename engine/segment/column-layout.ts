/** Where in the bytes of a column its arrays lie (docs/FORMAT.md, "Columns"). They are used as they lie there: nothing is decoded here. */
import { damagedBytes } from '../codec/damage.ts'
import { readU32LE } from '../codec/fixed-width.ts'
import {
  COLUMN_ALIGNMENT,
  COLUMN_BASE,
  COLUMN_BOOLEANS,
  COLUMN_DICTIONARY,
  COLUMN_DOUBLES,
  COLUMN_ENCODING,
  COLUMN_FLAG_NULLS,
  COLUMN_FLAG_SEQUENCE,
  COLUMN_FLAGS,
  COLUMN_HEADER_BYTES,
  COLUMN_INTEGERS,
  COLUMN_NOTHING,
  COLUMN_ROWS,
  COLUMN_TEXTS,
  COLUMN_WIDTH,
} from './format.ts'

/** What a column holds; positions count from its first byte. */
export interface ColumnLayout {
  /** Which kind of values, and how. */
  readonly kind: 'nothing' | 'doubles' | 'integers' | 'booleans' | 'dictionary' | 'texts'
  /** Rows. */
  readonly rows: number
  /** Bytes of a delta or a code. */
  readonly width: number
  /** Of integers. */
  readonly base: number
  /** Of integers of no width: each is one more than the one before. */
  readonly isSequence: boolean
  /** A byte a row, 1 null; -1: none is null. */
  readonly nullsAt: number
  /** Of a dictionary. */
  readonly entries: number
  /** Of a dictionary, where its texts end. */
  readonly endsAt: number
  /** Of texts and dictionaries. */
  readonly textAt: number
  /** The same, in bytes. */
  readonly textBytes: number
}

const kinds: Readonly<Record<number, ColumnLayout['kind']>> = {
  [COLUMN_NOTHING]: 'nothing',
  [COLUMN_DOUBLES]: 'doubles',
  [COLUMN_INTEGERS]: 'integers',
  [COLUMN_BOOLEANS]: 'booleans',
  [COLUMN_DICTIONARY]: 'dictionary',
  [COLUMN_TEXTS]: 'texts',
}

const padded = (size: number): number => Math.ceil(size / COLUMN_ALIGNMENT) * COLUMN_ALIGNMENT

/** The layout of a column whose checksum was right, with data from `COLUMN_HEADER_BYTES` on. CORRUPT when it does not fit its bytes, or is of a kind that this version does not know. */
export function columnLayout(column: Uint8Array): ColumnLayout {
  const kind = kinds[column[COLUMN_ENCODING] as number]
  const width = column[COLUMN_WIDTH] as number
  const flags = column[COLUMN_FLAGS] as number
  const rows = readU32LE(column, COLUMN_ROWS)
  if (kind === undefined || flags > (COLUMN_FLAG_NULLS | COLUMN_FLAG_SEQUENCE) || !hasWidth(kind, width))
    throw damagedBytes('column of a kind that is not known', 0)
  const isDictionary = kind === 'dictionary'
  const entries = isDictionary ? readU32LE(column, COLUMN_BASE) : 0
  const textBytes = isDictionary ? readU32LE(column, COLUMN_BASE + 4) : kind === 'texts' ? readU32LE(column, COLUMN_BASE) : 0
  const endsAt = COLUMN_HEADER_BYTES + padded(width * rows)
  const textAt = isDictionary ? endsAt + 4 * entries : COLUMN_HEADER_BYTES + padded(4 * (rows + 1))
  const dataEnd = isDictionary || kind === 'texts' ? textAt + textBytes : COLUMN_HEADER_BYTES + width * rows
  const hasNulls = (flags & COLUMN_FLAG_NULLS) !== 0
  if (dataEnd + (hasNulls ? rows : 0) > column.length) throw damagedBytes('column is cut off', 0, { actual: column.length })
  return {
    kind,
    rows,
    width,
    base: kind === 'integers' ? new DataView(column.buffer, column.byteOffset).getFloat64(COLUMN_BASE, true) : 0,
    isSequence: (flags & COLUMN_FLAG_SEQUENCE) !== 0,
    nullsAt: hasNulls ? dataEnd : -1,
    entries,
    endsAt,
    textAt,
    textBytes,
  }
}

function hasWidth(kind: ColumnLayout['kind'], width: number): boolean {
  switch (kind) {
    case 'nothing':
      return width === 0
    case 'doubles':
      return width === 8
    case 'integers':
      return width === 0 || width === 1 || width === 2 || width === 4
    case 'dictionary':
      return width === 1 || width === 2
    default:
      return width === (kind === 'booleans' ? 1 : 4)
  }
}

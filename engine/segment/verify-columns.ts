/**
 * Checks the columns of a part: under their checksums, of the shape that the format wants, and with as many rows as their blocks have records. What is wrong with columns is told apart
 * from other findings: they repeat what stands in the rows, and nothing is lost with them.
 */
import { xxh64Equals } from '../codec/xxh64.ts'
import { isVarveError, VarveError } from '../errors.ts'
import type { ColumnIndex } from './column-index.ts'
import { columnLayout } from './column-layout.ts'
import type { SegmentReader } from './reader.ts'
import type { VerifyContext } from './verify.ts'

/** The columns of a part; undefined where it has none, or where its table says what cannot be, which becomes a finding of the context. */
export function partColumns(reader: SegmentReader, part: number, context?: VerifyContext): ColumnIndex | undefined {
  let index: ReturnType<SegmentReader['index']>
  try {
    index = reader.index(part)
  } catch (error) {
    if (error instanceof VarveError) return undefined // a finding of the part
    throw error
  }
  try {
    return index.columns
  } catch (error) {
    if (!isVarveError(error, 'CORRUPT')) throw error
    context?.addColumn(reader.directory.indexPosition(part), `table of columns of part ${part}: ${error.message}`)
    return undefined
  }
}

/** `recordsOf`: how many records of a block become rows; undefined where that is not known. */
export function verifyColumns(
  reader: SegmentReader,
  part: number,
  columns: ColumnIndex,
  recordsOf: (block: number) => number | undefined,
  context: VerifyContext,
): void {
  const base = reader.directory.position(part) + reader.directory.byteCount(part)
  for (let group = 0; group < columns.groupCount; group++) {
    // Where there are none, a record could not be read when they were written.
    if (columns.fields.every((_, field) => columns.columnBytes(group, field) === 0)) continue
    let records: number | undefined = 0
    for (let block = columns.firstBlock(group); block < columns.endBlock(group) && records !== undefined; block++) {
      const ofBlock = recordsOf(block)
      records = ofBlock === undefined ? undefined : records + ofBlock
    }
    if (records !== undefined && records !== columns.rows(group)) {
      context.addColumn(
        reader.directory.indexPosition(part),
        `columns ${group} of part ${part} have another number of rows than their blocks`,
      )
    }
    for (let field = 0; field < columns.fields.length; field++) {
      const size = columns.columnBytes(group, field)
      if (size === 0) continue
      const position = base + columns.columnPosition(group, field)
      const what = `column ${columns.fields[field]} of columns ${group} of part ${part}`
      const bytes = context.try(position, () => reader.readRaw(position, size))
      if (bytes === undefined) continue
      if (!xxh64Equals(bytes, 0, size, columns.bytes, columns.checksumAt(group, field)))
        context.addColumn(position, `checksum of ${what} differs`)
      else if (!isWellFormed(bytes, columns.rows(group))) context.addColumn(position, `${what} has another form than its header says`)
    }
  }
}

/** Whether header and size of a column agree. */
function isWellFormed(column: Uint8Array, rows: number): boolean {
  try {
    return columnLayout(column).rows === rows
  } catch (error) {
    if (isVarveError(error, 'CORRUPT')) return false
    throw error
  }
}

/** The door of cli/ to what others may want of it: readers of files that name bad rows by their lines. */

export { csvReader } from './import/csv.ts'
export { readJsonl } from './import/jsonl.ts'
export { readParquet } from './import/parquet.ts'
export type { Row, RowReader } from './import/row.ts'
export { InputError } from './input-error.ts'

/** Rows of files that are imported, as every format gives them. */
export type Row =
  | {
      /** Line of the file, from 1; in Parquet the row. A CSV record of several lines has its last one. */
      readonly line: number
      readonly value: unknown
    }
  | { readonly line: number; readonly problem: string }

/** Reads a file; yields some rows at a time. `added` hears of bytes that were read. */
export type RowReader = (path: string, added: (bytes: number) => void) => AsyncGenerator<Row[]>

/** What the main job works on: rows of a file, and what their columns mean. The flights and a user's file are inputs alike. */

export interface Columns {
  /** Names the key of a row: rows of one key stay in order, in one partition. */
  readonly key: string
  /** Rows are counted by key, these, and the month, if there is a time. */
  readonly by: readonly string[]
  /** A number of which means are computed. */
  readonly value?: string
  /** When it happened; else rows have the time at which they are sent. */
  readonly time?: string
}

export interface JobInput {
  /** Of the rows, for findings: 'flights'. */
  readonly what: string
  readonly file: string
  /** Of the file. */
  readonly bytes: number
  readonly columns: Columns
  /** Which rows go into the store, by key, too; the others go to the topic only. */
  readonly keeps: (row: DataRow) => boolean
  /** Of the rows that the store keeps, for findings: 'flights an hour late or more'. */
  readonly kept: string
  /** Some rows at a time. `added` hears of bytes of the file. */
  read(added: (bytes: number) => void): AsyncGenerator<(KeyedRow | BadLine)[]>
}

export type DataRow = Readonly<Record<string, unknown>>

/** A row of the file that is none; it is left out. */
export interface BadLine {
  /** From 1; of Parquet the row. */
  readonly line: number
  readonly problem: string
}

/** A row as it is sent: there is a key, and the value is a number or null. */
export interface KeyedRow {
  readonly key: string
  /** Of the file, from 1. */
  readonly line: number
  readonly row: DataRow
  /** When it happened, milliseconds since 1970: the time of its record. Without a column of times a record has that of its sending. */
  readonly time?: number
}

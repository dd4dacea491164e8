/** What both jobs group by: the key, the columns of `by`, and the month where rows have times. */

import { col, type Expression, type Flow, lit, record } from '../../compute/index.ts'
import type { Columns, DataRow } from './input.ts'

/** Count and mean of a group. */
export interface GroupMean {
  /** Its parts, as text. */
  readonly group: string
  readonly rows: number
  readonly mean: number | null
}

/** Expressions name the fields, so that the rest of a row is never decoded. */
export function partsOf({ by, time }: Columns): Record<string, Expression<unknown, string>> {
  const parts: Record<string, Expression<unknown, string>> = { part0: record.key }
  for (const [i, column] of by.entries()) parts[`part${i + 1}`] = col(column)
  return time === undefined ? parts : { ...parts, year: record.time.year(), month: record.time.month() }
}

/** The parts of the group, and `value`. */
export function casesOf(rows: Flow<DataRow>, columns: Columns): Flow<DataRow> {
  const value = columns.value === undefined ? lit(null) : col(columns.value)
  return rows.select({ ...partsOf(columns), value }) as unknown as Flow<DataRow>
}

const between = ' · '

/** `parts` are numbers and texts; which of both shows, so that no two groups have the same text. */
export function groupText(row: DataRow, { by, time }: Columns): string {
  let text = textOf(row.part0)
  for (let i = 1; i <= by.length; i++) text += between + textOf(row[`part${i}`])
  return time === undefined ? text : `${text}${between}${row.year as number}-${String(row.month).padStart(2, '0')}`
}

function textOf(part: unknown): string {
  return typeof part === 'string' ? part : `(${String(part)})`
}

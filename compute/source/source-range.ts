/** What of an input is wanted at all: what a source may use to read less. Plain data, structured-clonable. */
import type { Literal } from '../expression/node.ts'
import { expressionText } from '../expression/node.ts'

/** Timestamps of records, ms since 1970. */
export interface TimeRange {
  /** Inclusive. */
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

/** A condition that keys meet. */
export interface KeyBound {
  readonly is: 'gt' | 'gte' | 'lt' | 'lte' | 'eq'
  readonly key: Literal
}

export interface SourceRange {
  /** Of topics: records of other times are not given. */
  readonly time?: TimeRange
  /** Of stores: entries with other keys need not be given, and may be. */
  readonly keys?: readonly KeyBound[]
}

export const allTimes: TimeRange = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY }

/** As `explain()` shows it; empty for everything. */
export function rangeText({ time, keys = [] }: SourceRange): string {
  const from = time === undefined || time.from === allTimes.from ? '' : ` from ${timeText(time.from)}`
  const to = time === undefined || time.to === allTimes.to ? '' : ` to ${timeText(time.to)}`
  const signs = { gt: '>', gte: '>=', lt: '<', lte: '<=', eq: '=' }
  const ofKeys = keys.map(({ is, key }) => `${signs[is]} ${expressionText({ kind: 'literal', value: key })}`).join(' and ')
  const texts = [from === '' && to === '' ? '' : `times${from}${to}`, ofKeys === '' ? '' : `keys ${ofKeys}`]
  return texts.filter(text => text !== '').join(', ')
}

function timeText(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms)
}

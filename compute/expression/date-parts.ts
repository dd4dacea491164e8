/**
 * Year, month, day, weekday, hour and minute of times as numbers (ms since 1970, UTC), without a Date for each: days to the civil calendar by Howard Hinnant's algorithm ("chrono-compatible low-level
 * date algorithms"), which counts years from March on, in eras of 400 years. `scalars.ts` says what is right.
 */
import { NumberVector } from '../vector/vector.ts'
import type { FunctionName } from './node.ts'

type DatePart = Extract<FunctionName, 'year' | 'month' | 'day' | 'weekday' | 'hour' | 'minute'>

const DAY_MS = 86_400_000
/** A Date has no later time, and none before its negative. */
const timeMax = 100_000_000 * DAY_MS
const ERA_DAYS = 146_097
/** From 1 March of the year 0 to 1970. */
const EPOCH_DAYS = 719_468

const parts: Readonly<Record<DatePart, (time: number) => number>> = {
  year: time => {
    const day = dayOf(time)
    const era = eraOf(day)
    const year = yearOfEra(day, era)
    return year + 400 * era + (monthOf(dayOfYear(day, era, year)) <= 2 ? 1 : 0)
  },
  month: time => {
    const day = dayOf(time)
    const era = eraOf(day)
    return monthOf(dayOfYear(day, era, yearOfEra(day, era)))
  },
  day: time => {
    const day = dayOf(time)
    const era = eraOf(day)
    const ofYear = dayOfYear(day, era, yearOfEra(day, era))
    return ofYear - (((153 * monthFromMarch(ofYear) + 2) / 5) | 0) + 1
  },
  weekday: time => (((Math.floor(time / DAY_MS) % 7) + 10) % 7) + 1,
  hour: time => Math.floor((time - DAY_MS * Math.floor(time / DAY_MS)) / 3_600_000),
  minute: time => Math.floor((time - 3_600_000 * Math.floor(time / 3_600_000)) / 60_000),
}

/** Undefined: `name` is not part of a date. Rows that do not count may have anything. */
export function datePart(name: FunctionName, times: NumberVector, rows: Int32Array, count: number, size: number): NumberVector | undefined {
  if (!(name in parts)) return undefined
  const part = parts[name as DatePart]
  const { values } = times
  const results = new Float64Array(size)
  let { nulls } = times
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    const time = Math.trunc(values[row] as number)
    if (Math.abs(time) <= timeMax) results[row] = part(time)
    else {
      if (nulls === times.nulls) nulls = nulls === undefined ? new Uint8Array(size) : nulls.slice()
      ;(nulls as Uint8Array)[row] = 1
    }
  }
  return new NumberVector(results, nulls)
}

/** Days since 1 March of the year 0. */
function dayOf(time: number): number {
  return Math.floor(time / DAY_MS) + EPOCH_DAYS
}

function eraOf(day: number): number {
  return Math.floor(day / ERA_DAYS)
}

/** From March on. */
function yearOfEra(day: number, era: number): number {
  const ofEra = day - ERA_DAYS * era
  return ((ofEra - ((ofEra / 1460) | 0) + ((ofEra / 36_524) | 0) - ((ofEra / 146_096) | 0)) / 365) | 0
}

function dayOfYear(day: number, era: number, year: number): number {
  return day - ERA_DAYS * era - (365 * year + ((year / 4) | 0) - ((year / 100) | 0))
}

function monthFromMarch(dayOfYear: number): number {
  return ((5 * dayOfYear + 2) / 153) | 0
}

function monthOf(dayOfYear: number): number {
  const month = monthFromMarch(dayOfYear)
  return month < 10 ? month + 3 : month - 9
}

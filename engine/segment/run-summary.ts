/**
 * What opening a store must know of each of its runs, in the footer of their segment (docs/FORMAT.md, "Run summaries"): index sections, which are large, are
 * then read by those who look into the run, and a store of many pieces opens at once.
 *
 * A summary repeats what stands in the index section. Runs with a small one, and those of files from before, have none: then the section is asked.
 */
import { CODEC_NONE } from '../codec/compression.ts'
import { damagedBytes } from '../codec/damage.ts'
import { readVarint, varintEnd, varintSize, writeVarint } from '../codec/varint.ts'
import { VarveError } from '../errors.ts'
import { SUMMARY_CODECS, SUMMARY_FLAGS_KNOWN, SUMMARY_KEY_FROM, SUMMARY_KEY_TO, SUMMARY_RANGE_DELETES } from './format.ts'
import type { KeyRange } from './key-range.ts'

export interface RunSummary {
  readonly hasRangeDeletes: boolean
  /** Of a piece of the bottom level: see `RunIndex.keyFrom`. */
  readonly range: KeyRange
  /** Codecs of its blocks, ascending, each once, `none` left out. */
  readonly codecs: readonly number[]
}

/** What the index of a run says, as a summary. */
export function summaryOf(index: {
  readonly rangeDeletes: Uint8Array
  readonly keyFrom: Uint8Array | undefined
  readonly keyTo: Uint8Array | undefined
  readonly codecs: readonly number[]
}): RunSummary {
  return {
    hasRangeDeletes: index.rangeDeletes.length > 0,
    range: { from: index.keyFrom, to: index.keyTo },
    codecs: [...index.codecs].sort((left, right) => left - right),
  }
}

/** By part, ascending. */
export function encodeRunSummaries(summaries: ReadonlyMap<number, RunSummary>): Uint8Array {
  let size = 0
  for (const [part, { range, codecs }] of summaries) {
    size += varintSize(part) + 1 + codecs.length + (codecs.length > 0 ? 1 : 0)
    for (const key of [range.from, range.to]) if (key !== undefined) size += varintSize(key.length) + key.length
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const [part, { hasRangeDeletes, range, codecs }] of summaries) {
    at = writeVarint(bytes, at, part)
    bytes[at++] =
      (hasRangeDeletes ? SUMMARY_RANGE_DELETES : 0) |
      (range.from === undefined ? 0 : SUMMARY_KEY_FROM) |
      (range.to === undefined ? 0 : SUMMARY_KEY_TO) |
      (codecs.length === 0 ? 0 : SUMMARY_CODECS)
    for (const key of [range.from, range.to]) {
      if (key === undefined) continue
      at = writeVarint(bytes, at, key.length)
      bytes.set(key, at)
      at += key.length
    }
    if (codecs.length === 0) continue
    bytes[at++] = codecs.length
    for (const codec of codecs) bytes[at++] = codec
  }
  return bytes
}

/** Throws CORRUPT with the position in the bytes, or NEWER_FORMAT. */
export function decodeRunSummaries(bytes: Uint8Array, partCount: number): ReadonlyMap<number, RunSummary> {
  const summaries = new Map<number, RunSummary>()
  let at = 0
  let before = -1
  const take = (size: number): Uint8Array => {
    if (at + size > bytes.length) throw damagedBytes('run summary is cut off', at, { expected: size, actual: bytes.length - at })
    at += size
    return bytes.subarray(at - size, at)
  }
  const number = (): number => {
    const value = readVarint(bytes, at)
    at = varintEnd
    return value
  }
  const byte = (): number => take(1)[0] as number
  while (at < bytes.length) {
    const start = at
    const part = number()
    if (part <= before || part >= partCount) throw damagedBytes('run summary of an impossible part', start, { actual: part })
    const flags = byte()
    if (flags > SUMMARY_FLAGS_KNOWN) throw new VarveError('NEWER_FORMAT', `run summary flags ${flags} are not known to this version`)
    const from = (flags & SUMMARY_KEY_FROM) === 0 ? undefined : take(number())
    const to = (flags & SUMMARY_KEY_TO) === 0 ? undefined : take(number())
    const codecs = (flags & SUMMARY_CODECS) === 0 ? [] : [...take(byte())]
    if (codecs.some((codec, i) => codec <= (codecs[i - 1] ?? CODEC_NONE))) throw damagedBytes('run summary has impossible codecs', start)
    summaries.set(part, { hasRangeDeletes: (flags & SUMMARY_RANGE_DELETES) !== 0, range: { from, to }, codecs })
    before = part
  }
  return summaries
}

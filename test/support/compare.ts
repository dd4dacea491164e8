/**
 * Compares a log with its model: offsets, content by reads from random offsets within every bound, times, epochs, metadata, keys.
 * Throws an Error that names the log and the difference.
 */
import type { SimRandom } from '../../engine/env/index.ts'
import { isVarveError } from '../../engine/errors.ts'
import type { LocalLog, LogSlice, ReadBound, ReadOptions } from '../../engine/log/log.ts'
import { modelOfSlice, recordsByOffset, visibleInLog } from './batches.ts'
import { internals } from './internals.ts'
import {
  epochEnd,
  findBatch,
  isBodiless,
  isCompacted,
  isOwner,
  type LogModel,
  type ModelBatch,
  newestEpoch,
  offsetForTime,
  visibleOf,
} from './log-model.ts'

export function check(condition: boolean, what: string, ...values: unknown[]): asserts condition {
  if (!condition) throw new Error(`${what}: ${values.map(value => (typeof value === 'string' ? value : JSON.stringify(value))).join(', ')}`)
}

export function equal(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) check(false, what, `got ${String(actual)}`, `expected ${String(expected)}`)
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0
}

type Read = (offset: number, options: ReadOptions) => LogSlice

/** `random` chooses what is looked at beside the full read; without it only the full read is made. */
export function compareLog(log: LocalLog, model: LogModel, random?: SimRandom): void {
  const name = `log ${model.definition.name}`
  equal(log.name, model.definition.name, `${name}: name`)
  const start = isBodiless(model) ? Math.max(model.start, log.flushedEnd) : model.start
  equal(log.startOffset, start, `${name}: startOffset`)
  equal(internals(log).trimmedTo, model.start, `${name}: trimmed to`)
  equal(log.endOffset, model.end, `${name}: endOffset`)
  equal(log.epoch, newestEpoch(model), `${name}: epoch`)
  check(log.durableOffset <= model.end && log.flushedEnd <= model.end, `${name}: durable <= end`, log.durableOffset, model.end)
  check(log.highWatermark <= model.end && log.highWatermark >= model.start, `${name}: high watermark`, log.highWatermark, model.end)
  if (isOwner(model)) equal(log.highWatermark, model.highWatermark, `${name}: owner's high watermark`)
  for (const slot of ['vote', 'term', 'note']) {
    const value = log.metadata.get(slot)
    equal(value === undefined ? undefined : Buffer.from(value).toString(), model.metadata.get(slot), `${name}: metadata ${slot}`)
  }
  const read: Read = (offset, options) => log.read(offset, { fillChecksums: true, ...options })
  compareContent(read, model, start, model.end, name)
  if (model.definition.kind === 'store') compareKeys(log, model)
  if (random !== undefined) compareRandomly(log, model, start, random)
}

/** Reads `[start, end)` in one go and compares every byte; records where compaction may have left holes. */
export function compareContent(read: Read, model: LogModel, start: number, end: number, name: string): void {
  if (isCompacted(model)) {
    compareCompacted(read, model, start, end, name)
    return
  }
  let offset = start
  let index = findBatch(model.batches, start)
  while (offset < end) {
    const slice = read(offset, { bound: 'end' })
    check(slice.positions.length > 0, `${name}: nothing to read`, offset, end)
    for (const batch of modelOfSlice(slice)) {
      const expected = model.batches[index++]
      check(expected !== undefined, `${name}: more batches than expected`, batch.base)
      compareBatch(batch, expected, name)
    }
    check(slice.nextOffset > offset, `${name}: reading goes on`, slice.nextOffset, offset)
    offset = slice.nextOffset
  }
  equal(offset, end, `${name}: reading ends`)
}

function compareBatch(batch: ModelBatch, expected: ModelBatch, name: string): void {
  if (sameBytes(batch.bytes, expected.bytes)) return
  const facts = ({ base, end, epoch, timestamp, producer }: ModelBatch): string => JSON.stringify({ base, end, epoch, timestamp, producer })
  check(false, `${name}: batch differs`, facts(batch), facts(expected))
}

/** What is left are records of the model; what is missing was replaced by a later one, or removed its key. */
function compareCompacted(read: Read, model: LogModel, start: number, end: number, name: string): void {
  const left = new Map<number, string>()
  for (let offset = start; offset < end; ) {
    const slice = read(offset, { bound: 'end' })
    for (const [at, record] of recordsByOffset(slice)) {
      check(!left.has(at), `${name}: a record twice`, at)
      left.set(at, `${record.key}|${record.text}|${record.timestamp}`)
    }
    check(slice.nextOffset > offset, `${name}: reading goes on`, slice.nextOffset, offset)
    offset = slice.nextOffset
  }
  const seen = new Set<string>()
  for (const batch of model.batches.toReversed()) {
    for (let i = batch.records.length - 1; i >= 0; i--) {
      const record = batch.records[i]
      const offset = batch.base + i
      if (record === undefined || offset < start || offset >= end) continue
      const found = left.get(offset)
      left.delete(offset)
      const mayBeGone = record.key === undefined || seen.has(record.key) || record.isTombstone
      if (found === undefined) check(mayBeGone, `${name}: the newest record of a key is gone`, offset, record.key)
      else equal(found, `${record.key}|${record.text}|${record.timestamp}`, `${name}: record ${offset}`)
      if (record.key !== undefined) seen.add(record.key)
    }
  }
  const extra = [...left.keys()].filter(offset => offset >= start && offset < end)
  check(extra.length === 0, `${name}: records that were never appended`, extra)
}

function compareKeys(log: LocalLog, model: LogModel): void {
  const expected = visibleOf(model)
  const actual = visibleInLog(log)
  const keys = new Set([...expected.keys(), ...actual.keys()])
  for (const key of keys) equal(actual.get(key), expected.get(key), `log ${model.definition.name}: newest value of ${key}`)
}

function compareRandomly(log: LocalLog, model: LogModel, start: number, random: SimRandom): void {
  const name = `log ${model.definition.name}`
  for (let round = 0; round < 4; round++) {
    const bound = (['end', 'durable', 'highWatermark'] as const)[random.below(3)] as ReadBound
    const offset = start + random.below(model.end - start + 1)
    readOnce(log, model, offset, bound, 1 + random.below(random.chance(0.5) ? 300 : 8000))
  }
  for (const offset of [start - 1, model.end + 1]) {
    if (offset < 0) continue
    try {
      log.read(offset)
      check(false, `${name}: read out of range`, offset)
    } catch (error) {
      if (!isVarveError(error, 'OFFSET_OUT_OF_RANGE')) throw error
    }
  }
  if (isCompacted(model)) return
  const batch = model.batches[random.below(Math.max(1, model.batches.length))]
  const time = (batch?.timestamp ?? 0) + random.below(3) - 1
  equal(log.offsetForTime(time), offsetForTime(model, time, start, log.highWatermark), `${name}: offset for time ${time}`)
  const isWhole = model.start <= (model.batches[0]?.base ?? 0) && !isBodiless(model)
  if (!isWhole) return
  const epoch = random.below(newestEpoch(model) + 2)
  const end = log.endOffsetForEpoch(epoch)
  const expected = epochEnd(model, epoch)
  equal(JSON.stringify(end), JSON.stringify(expected), `${name}: end of epoch ${epoch}`)
}

function readOnce(log: LocalLog, model: LogModel, offset: number, bound: ReadBound, bytesMax: number): void {
  const name = `log ${model.definition.name}: read at ${offset} to ${bound} of ${bytesMax} bytes`
  const limit = internals(log).boundOffset(bound)
  const slice = log.read(offset, { bound, bytesMax, fillChecksums: true })
  if (offset >= limit) {
    check(slice.positions.length === 0 && slice.nextOffset === offset, `${name}: nothing at the bound`, limit, slice.nextOffset)
    return
  }
  let index = findBatch(model.batches, offset)
  const first = model.batches[index]
  check(first !== undefined && first.base <= offset, `${name}: the model has a batch`, first?.base)
  if (isCompacted(model)) {
    check(slice.nextOffset > offset || first.end > limit, `${name}: goes on`, slice.nextOffset)
    return
  }
  // An owner's high watermark may lie inside a batch, which is then not shown.
  if (first.end > limit) {
    equal(slice.positions.length, 0, `${name}: batches beyond the bound`)
    return
  }
  check(slice.positions.length > 0, `${name}: at least one batch`, limit)
  for (const batch of modelOfSlice(slice)) {
    const expected = model.batches[index++] as ModelBatch
    compareBatch(batch, expected, name)
    check(batch.end <= limit, `${name}: a batch beyond the bound`, batch.end, limit)
  }
  check(slice.positions.length === 1 || slice.bytes.byteLength <= bytesMax, `${name}: bytes`, slice.bytes.byteLength)
  equal(slice.nextOffset, model.batches[index - 1]?.end, `${name}: nextOffset`)
}

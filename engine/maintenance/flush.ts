/**
 * Flush: writes what lies in full arenas into sealed segments. Runs in the worker; inline in simulation.
 *
 * The arenas' index rows are grouped by log and sorted by offset. A log's batches become one part: verbatim for a topic; sorted by key into a run
 * for a store, and verbatim as well when the log keeps a body. Large logs (`planOutputs`) get a segment of their own (so that dropping
 * old data deletes a file); all others share one, with a directory: ten thousand small tails cost one file and one sync. The first run of a large store is
 * its bottom level, cut into pieces: what is written over later is merged piece by piece from the start, and never lies twice as a whole.
 *
 * Checksums of batches born here are filled now. Input is shared memory that the owner no longer changes, except for batches that it truncates,
 * which it does not offer (`limits`).
 */
import { batchProducerId, fillCrc } from '../batch/record-batch.ts'
import { fillStoreBatchChecksum, openStoreBatch, storeBatchCount } from '../batch/store-batch.ts'
import { StoreRecordCursor } from '../batch/store-record.ts'
import { loadChecksums } from '../codec/xxh64.ts'
import {
  type ArenaView,
  INDEX_BASE_OFFSET,
  INDEX_BYTES,
  INDEX_COLUMNS,
  INDEX_END_OFFSET,
  INDEX_LOG_ID,
  INDEX_POSITION,
  INDEX_STATE,
  STATE_CHECKSUM_OPEN,
  STATE_DEAD,
} from '../commit-log/arena.ts'
import type { Files, TaskPlace } from '../env/environment.ts'
import { assert } from '../errors.ts'
import { type AbortedEntry, ProducerState, producerExpiryMs } from '../log/producer-state.ts'
import { LEVEL_BOTTOM, PART_BODY, PART_RUN, PART_TOPIC } from '../segment/format.ts'
import { SegmentReader } from '../segment/reader.ts'
import { giveNumbers, takeFloat64 } from '../segment/scratch-memory.ts'
import type { SegmentSummary, SegmentWriter } from '../segment/writer.ts'
import { type FlushLog, type FlushProducers, type PackedFlushLogs, unpackFlushLogs } from './flush-plan.ts'
import { mergeRuns, RunMerge } from './merge-runs.ts'
import { MemorySource, sortStoreRecords, storeRecordAddress } from './merge-sort.ts'
import { cutBytesOf, pieceBytesMinOf } from './pick-runs.ts'
import { SegmentOutputs, writePieces } from './segment-outputs.ts'

export interface FlushInput {
  readonly folder: string
  readonly paths: readonly string[]
  readonly segmentIds: readonly number[]
  readonly editId: number
  readonly databaseId: Uint8Array
  readonly arenas: readonly ArenaView[]
  readonly logs: PackedFlushLogs
  readonly ownSegmentBytes: number
  /** Sequences of stores that must stay readable, ascending; what none of them sees, nor the newest moment, is left out of runs. */
  readonly snapshots: readonly number[]
}

export interface FlushOutput {
  readonly segments: readonly SegmentSummary[]
  /** Producer state at the end of the flushed range, for logs that have any. */
  readonly producers: readonly { readonly logId: number; readonly bytes: Uint8Array }[]
}

interface BatchPlace {
  readonly arena: ArenaView
  readonly position: number
  readonly bytes: number
  readonly baseOffset: number
  readonly endOffset: number
  readonly state: number
}

/** One batch at a time, with its checksum filled; used up in the turn that it is filled in. */
let scratch = new Uint8Array(0)

interface LogBatches {
  readonly log: FlushLog
  batches: BatchPlace[]
  bytes: number
}

export async function flush(input: FlushInput, place: TaskPlace): Promise<FlushOutput> {
  await loadChecksums()
  const groups = groupByLog(input)
  const producersBefore = new Map(input.logs.producers.map(entry => [entry.logId, entry]))
  const planned = planOutputs(groups, input.ownSegmentBytes)
  const isCut = planned.some(output => output.some(group => cutOf(group, input.ownSegmentBytes) !== undefined))
  const outputs = new SegmentOutputs(place, input, isCut ? undefined : planned.length)
  const producers: { logId: number; bytes: Uint8Array }[] = []
  const total = groups.reduce((sum, group) => sum + group.bytes, 0)
  let segments: SegmentSummary[]
  let done = 0
  try {
    for (const output of planned) {
      outputs.next()
      try {
        for (const group of output) await writeGroup(outputs, group, input, place, producersBefore, producers)
      } finally {
        await outputs.writer.settled()
      }
      done += output.reduce((sum, group) => sum + group.bytes, 0)
      place.report(done, total)
    }
    segments = outputs.finish()
    await place.files.syncDirectory(input.folder)
  } catch (error) {
    await outputs.remove() // half an edit is no edit: nothing of it may stay behind to fill the disk
    throw error
  }
  return { segments, producers }
}

/** Whether the group's run is the bottom of its store. Smaller ones share a file with others: a store of a few kilobytes is not worth one. */
function isBottom({ log, bytes }: LogBatches, ownSegmentBytes: number): boolean {
  return log.isFirst && !log.isWhole && !log.body && bytes >= ownSegmentBytes
}

/** At which size the group's run is cut into pieces; undefined: it is not. */
function cutOf(group: LogBatches, ownSegmentBytes: number): number | undefined {
  const { bytes } = group
  return isBottom(group, ownSegmentBytes) ? cutBytesOf(bytes, bytes, ownSegmentBytes, pieceBytesMinOf(ownSegmentBytes)) : undefined
}

/**
 * A topic's log gets a segment of its own from so many times `ownSegmentBytes` on. Eight partitions that fill an arena together would make eight files of 4 MB
 * each time, with a sync each, and so many files of that size that consolidation writes every byte twice more.
 */
const topicFactor = 16

/**
 * A segment for each large log, one for all others. A few crumbs (the system log's edits, mostly) ride with the smallest large log instead of
 * costing a file and a sync, unless that is a run: merges replace runs, and a file whose run is gone must go at once, not when somebody has moved the crumbs.
 */
function planOutputs(groups: readonly LogBatches[], ownSegmentBytes: number): LogBatches[][] {
  const isOwn = ({ log, bytes }: LogBatches): boolean => bytes >= (log.kind === 1 ? ownSegmentBytes * topicFactor : ownSegmentBytes)
  const own = groups.filter(isOwn).sort((a, b) => a.bytes - b.bytes)
  const shared = groups.filter(group => !isOwn(group))
  const sharedBytes = shared.reduce((sum, group) => sum + group.bytes, 0)
  const outputs = own.map(group => [group])
  const lasting = outputs.find(([group]) => group?.log.kind === 1)
  if (shared.length === 0) return outputs
  if (lasting !== undefined && sharedBytes * 16 < ownSegmentBytes) lasting.push(...shared)
  else outputs.push(shared)
  return outputs
}

function groupByLog(input: FlushInput): LogBatches[] {
  const groups = new Map<number, LogBatches>()
  for (const log of unpackFlushLogs(input.logs)) groups.set(log.id, { log, batches: [], bytes: 0 })
  for (const arena of input.arenas) {
    const { index, indexCount } = arena
    for (let row = 0; row < indexCount; row++) {
      const at = row * INDEX_COLUMNS
      const state = index[at + INDEX_STATE] as number
      if ((state & STATE_DEAD) !== 0) continue
      const group = groups.get(index[at + INDEX_LOG_ID] as number)
      const endOffset = index[at + INDEX_END_OFFSET] as number
      if (group === undefined || endOffset > group.log.limit) continue
      const bytes = index[at + INDEX_BYTES] as number
      group.batches.push({
        arena,
        position: index[at + INDEX_POSITION] as number,
        bytes,
        baseOffset: index[at + INDEX_BASE_OFFSET] as number,
        endOffset,
        state,
      })
      group.bytes += bytes
    }
  }
  const found = [...groups.values()].filter(group => group.batches.length > 0)
  for (const group of found) {
    // Only carried batches lie out of order.
    group.batches.sort((a, b) => a.baseOffset - b.baseOffset)
    for (let i = 1; i < group.batches.length; i++) {
      const before = group.batches[i - 1] as BatchPlace
      const batch = group.batches[i] as BatchPlace
      assert(batch.baseOffset === before.endOffset, 'a flushed range has no hole', batch.baseOffset, before.endOffset)
    }
  }
  return found
}

async function writeGroup(
  outputs: SegmentOutputs,
  group: LogBatches,
  input: FlushInput,
  { files, clock }: TaskPlace,
  producersBefore: ReadonlyMap<number, FlushProducers>,
  producers: { logId: number; bytes: Uint8Array }[],
): Promise<void> {
  const { writer } = outputs
  if (group.log.kind === 1) {
    const state = await writeTopicPart(writer, group, producerStateOf(files, producersBefore.get(group.log.id)), clock.now())
    if (state !== undefined) producers.push({ logId: group.log.id, bytes: state })
    return
  }
  if (group.log.body) await writeBodyPart(writer, group)
  writeRunPart(outputs, group, input)
}

/** Producer state at the head of the tail, from the owner or from the log's last part. */
function producerStateOf(files: Files, source: FlushProducers | undefined): ProducerState | undefined {
  if (source === undefined) return undefined
  if (source.bytes !== undefined) return ProducerState.fromBytes(source.bytes)
  const reader = SegmentReader.open(files, source.path as string)
  try {
    const bytes = reader.batchIndex(source.part as number).producerState()
    return bytes === undefined ? undefined : ProducerState.fromBytes(bytes)
  } finally {
    reader.close()
  }
}

async function writeTopicPart(
  writer: SegmentWriter,
  group: LogBatches,
  before: ProducerState | undefined,
  now: number,
): Promise<Uint8Array | undefined> {
  const { log, batches } = group
  writer.beginPart({ logId: log.id, name: log.name, kind: log.kind, type: PART_TOPIC, columns: log.columns })
  let state = before
  const aborted: AbortedEntry[] = []
  for (const { arena, position, bytes, state: bits } of batches) {
    if (state !== undefined || hasProducer(arena.bytes, position)) {
      state ??= new ProducerState()
      const entry = state.applyBatch(arena.bytes, position)
      state.touch(batchProducerId(arena.bytes, position), now)
      if (entry !== undefined) aborted.push(entry)
    }
    if ((bits & STATE_CHECKSUM_OPEN) === 0) {
      writer.addBatches(arena.bytes, position, position + bytes)
    } else {
      const start = privateCopy(arena.bytes, position, bytes)
      fillCrc(scratch, start)
      writer.addBatches(scratch, start, start + bytes)
    }
    const due = writer.pace()
    if (due !== undefined) await due
  }
  state?.expire(now - producerExpiryMs)
  const bytes = state === undefined || state.isEmpty ? undefined : state.toBytes()
  writer.setPartTables({ ...(aborted.length > 0 ? { aborted } : {}), ...(bytes === undefined ? {} : { producerState: bytes }) })
  writer.endPart()
  return bytes
}

/**
 * Copies bytes of an arena to `scratch` and returns where they begin there. Shared memory is slow to read piece by piece (for the checksum and the
 * output), and fast only from and to addresses of the same alignment.
 */
function privateCopy(source: Uint8Array, position: number, bytes: number): number {
  if (scratch.length < bytes + 8) scratch = new Uint8Array(2 * bytes + 8)
  const start = (source.byteOffset + position) & 7
  scratch.set(source.subarray(position, position + bytes), start)
  return start
}

/** The producer id of a batch is -1 (all bits set) when it has none. */
function hasProducer(bytes: Uint8Array, position: number): boolean {
  return ((bytes[position + 43] as number) & 0x80) === 0
}

async function writeBodyPart(writer: SegmentWriter, group: LogBatches): Promise<void> {
  const { log, batches } = group
  writer.beginPart({ logId: log.id, name: log.name, kind: log.kind, type: PART_BODY, versioned: log.versioned })
  for (const { arena, position, bytes, state } of batches) {
    if ((state & STATE_CHECKSUM_OPEN) === 0) {
      writer.addBatches(arena.bytes, position, position + bytes)
    } else {
      // Filled in a copy: readers of the arena would see the flag before the checksum.
      const start = privateCopy(arena.bytes, position, bytes)
      fillStoreBatchChecksum(scratch, start)
      writer.addBatches(scratch, start, start + bytes)
    }
    const due = writer.pace()
    if (due !== undefined) await due
  }
  writer.endPart()
}

function writeRunPart(outputs: SegmentOutputs, group: LogBatches, { snapshots, ownSegmentBytes }: FlushInput): void {
  const { log, batches } = group
  const { writer } = outputs
  const first = batches[0] as BatchPlace
  const last = batches.at(-1) as BatchPlace
  const start = {
    logId: log.id,
    name: log.name,
    kind: log.kind,
    type: PART_RUN,
    versioned: log.versioned,
    codec: log.codec,
    columns: log.columns,
    firstOffset: first.baseOffset,
    endOffset: last.endOffset,
  }
  // Every record's place, then the places in key order; the bytes are copied once, into the run.
  const buffers: Uint8Array[] = []
  const count = batches.reduce((sum, { arena, position }) => sum + storeBatchCount(arena.bytes, position), 0)
  const addresses = takeFloat64(count)
  let found = 0
  const cursor = new StoreRecordCursor()
  for (const { arena, position } of batches) {
    openStoreBatch(cursor, arena.bytes, position)
    if (buffers.at(-1) !== cursor.buffer) buffers.push(cursor.buffer)
    while (cursor.next()) addresses[found++] = storeRecordAddress(buffers.length - 1, cursor.start)
  }
  assert(found === count, 'batches hold the records that they count', found, count)
  const sorted = sortStoreRecords(buffers, addresses, { versioned: log.versioned })
  const source = new MemorySource(buffers, sorted)
  const options = { versioned: log.versioned, snapshots }
  if (isBottom(group, ownSegmentBytes)) {
    const pieceBytes = cutOf(group, ownSegmentBytes)
    const filesMax = pieceBytes === undefined ? 1 : Math.ceil(group.bytes / pieceBytes) + 1
    // Deletes hide nothing: there is nothing older. In a versioned store something older may still arrive.
    const merge = new RunMerge([source], log.versioned ? options : { ...options, dropDeletes: { sequence: Number.MAX_SAFE_INTEGER } })
    const pieces = { range: {}, pieceBytes: pieceBytes ?? Number.POSITIVE_INFINITY, filesMax, replaced: [] }
    writePieces(outputs, merge, { ...start, level: LEVEL_BOTTOM }, pieces)
  } else {
    writer.beginPart(start)
    if (log.isWhole) while (source.next()) writer.addParsedRecord(source.record)
    else mergeRuns([source], writer, options)
    writer.endPart()
  }
  giveNumbers(addresses)
  giveNumbers(sorted)
}

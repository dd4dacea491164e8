/** Goal: a merge keeps exactly what some view may still see, judged by a model that answers every read by looking at all records. */
import { beforeAll, describe, expect, test } from 'vitest'
import { STORE_DELETE, STORE_POINTER, STORE_PUT, STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import { sourcesInRange } from '../../../../engine/maintenance/merge-range.ts'
import { type MergeTarget, mergeRuns, RunMerge, type RunMergeOptions } from '../../../../engine/maintenance/merge-runs.ts'
import { MemorySource, sortStoreRecords, storeRecordAddress } from '../../../../engine/maintenance/merge-sort.ts'
import { PART_RUN } from '../../../../engine/segment/format.ts'
import { RunCursor } from '../../../../engine/segment/run-reader.ts'
import { verifySegment } from '../../../../engine/segment/verify.ts'
import { type Random, seeded } from '../codec/random.ts'
import { concat, type PlainRecord, plain, storeRecord, withReader, writeSegment } from '../segment/fixtures.ts'
import { MemoryFiles } from '../segment/memory-files.ts'

beforeAll(loadChecksums)

const keyOf = (n: number): string => `k${String(n).padStart(2, '0')}`

function randomRecords(random: Random, count: number, keys: number, versioned: boolean): PlainRecord[] {
  let sequence = 0
  return Array.from({ length: count }, () => {
    sequence += 1 + random.below(3)
    const kind = random.pick([STORE_PUT, STORE_PUT, STORE_PUT, STORE_DELETE, STORE_RANGE_DELETE, STORE_POINTER])
    const from = random.below(keys)
    const value = kind === STORE_RANGE_DELETE ? keyOf(from + random.below(keys / 2)) : kind === STORE_DELETE ? undefined : `v${sequence}`
    return {
      kind,
      key: keyOf(from),
      sequence,
      ...(value === undefined ? {} : { value }),
      ...(kind === STORE_PUT && random.below(4) === 0 ? { expiry: 100 + random.below(100) } : {}),
      ...(versioned && random.below(8) > 0 ? { version: { ms: 1 + random.below(30), counter: random.below(2), node: sequence } } : {}),
    }
  })
}

function sourceOf(records: readonly PlainRecord[], versioned: boolean): MemorySource {
  const buffer = concat(...records.map(storeRecord))
  let at = 0
  const addresses = Float64Array.from(records, record => {
    const address = storeRecordAddress(1, at)
    at += storeRecord(record).length
    return address
  })
  return new MemorySource([new Uint8Array(0), buffer], sortStoreRecords([new Uint8Array(0), buffer], addresses, { versioned }))
}

class Collector implements MergeTarget {
  readonly records: PlainRecord[] = []
  partBytes = 0
  addParsedRecord(record: Parameters<MergeTarget['addParsedRecord']>[0]): void {
    this.records.push(plain(record))
    this.partBytes += record.end - record.start
  }
}

/** Positive when left is newer. */
function newer(left: PlainRecord, right: PlainRecord, versioned: boolean): number {
  if (versioned) {
    const a = left.version ?? { ms: -1, counter: 0, node: 0 }
    const b = right.version ?? { ms: -1, counter: 0, node: 0 }
    const order = a.ms - b.ms || a.counter - b.counter || a.node - b.node
    if (order !== 0) return order
  }
  return left.sequence - right.sequence
}

/** What a read of `key` at the view sees; undefined for absent. `now` decides about expiry. */
function read(records: readonly PlainRecord[], key: string, view: number, versioned: boolean, now: number): PlainRecord | undefined {
  let best: PlainRecord | undefined
  for (const record of records) {
    if (record.sequence > view) continue
    const covers = record.kind === STORE_RANGE_DELETE ? record.key <= key && key < record.value! : record.key === key
    if (covers && (best === undefined || newer(record, best, versioned) > 0)) best = record
  }
  if (best === undefined || best.kind === STORE_DELETE || best.kind === STORE_RANGE_DELETE) return undefined
  return best.expiry !== undefined && best.expiry <= now ? undefined : best
}

const latest = Number.MAX_SAFE_INTEGER

describe.each([false, true])('against the model, versioned %s', versioned => {
  test('every view reads the same before and after, and nothing else is kept', async () => {
    await seeded(random => {
      for (let round = 0; round < 150; round++) {
        const keys = 2 + random.below(12)
        const records = randomRecords(random, 1 + random.below(60), keys, versioned)
        const sources = Array.from({ length: 1 + random.below(5) }, () => [] as PlainRecord[])
        for (const record of records) random.pick(sources).push(record)
        const snapshots = Array.from({ length: random.below(4) }, () => random.below(140)).sort((a, b) => a - b)
        const keepSince = random.below(2) === 0 ? undefined : random.below(200) - 1
        const views = [...snapshots, latest]
        if (keepSince !== undefined) for (let view = keepSince; view < 200; view++) views.push(view)
        const bottom = random.below(2) === 0
        const options: RunMergeOptions = {
          versioned,
          snapshots,
          ...(keepSince === undefined ? {} : { keepSince }),
          ...(bottom ? { dropDeletes: { sequence: random.pick([latest, 70]) }, now: 150, dropExpired: true } : {}),
        }
        const target = new Collector()
        const statistics = mergeRuns(
          sources.map(source => sourceOf(source, versioned)),
          target,
          options,
        )
        expect(statistics.recordsIn).toBe(records.length)
        expect(statistics.recordsOut).toBe(target.records.length)
        expect(statistics.superseded + statistics.deletesDropped + statistics.expiredDropped).toBe(records.length - target.records.length)
        for (const view of views) {
          for (let key = 0; key < keys * 2; key++) {
            const before = read(records, keyOf(key), view, versioned, bottom ? 150 : 0)
            expect(read(target.records, keyOf(key), view, versioned, bottom ? 150 : 0), `${keyOf(key)} at ${view}`).toEqual(before)
          }
        }
        for (const record of target.records)
          if (record.kind !== STORE_RANGE_DELETE) expect(seen(records, record, views, versioned)).toBe(true)
        if (bottom && options.dropDeletes?.sequence === latest && views.length === 1) {
          expect(target.records.every(({ kind, expiry = latest }) => (kind === STORE_PUT || kind === STORE_POINTER) && expiry > 150)).toBe(
            true,
          )
        }
      }
    })
  })

  /** Whether the record is the newest for its key in some view. */
  function seen(records: readonly PlainRecord[], record: PlainRecord, views: readonly number[], isVersioned: boolean): boolean {
    return views.some(view => {
      if (record.sequence > view) return false
      return !records.some(
        other =>
          other.sequence <= view &&
          newer(other, record, isVersioned) > 0 &&
          (other.kind === STORE_RANGE_DELETE ? other.key <= record.key && record.key < other.value! : other.key === record.key),
      )
    })
  }

  /** Each piece alone reads, for the keys from its first to that of the next, as the whole does. */
  function expectPieces(
    pieces: readonly (readonly PlainRecord[])[],
    cuts: readonly string[],
    whole: readonly PlainRecord[],
    keys: number,
  ): void {
    for (let key = 0; key < keys * 2; key++) {
      const name = keyOf(key)
      const at = cuts.filter(cut => cut <= name).length
      for (const view of [20, 50, 90, latest]) {
        expect(read(pieces[at]!, name, view, versioned, 0), `${name} at ${view}`).toEqual(read(whole, name, view, versioned, 0))
      }
    }
    for (const [i, piece] of pieces.entries()) {
      for (const { key } of piece) expect(key >= (cuts[i - 1] ?? '') && (cuts[i] === undefined || key < cuts[i]!)).toBe(true)
    }
    const points = (records: readonly PlainRecord[]): PlainRecord[] => records.filter(({ kind }) => kind !== STORE_RANGE_DELETE)
    expect(points(pieces.flat())).toEqual(points(whole))
  }

  test('a merge written in pieces is the merge written at once, cut between keys; range deletes that reach further begin anew', async () => {
    await seeded(random => {
      for (let round = 0; round < 40; round++) {
        const records = randomRecords(random, 80, 10, versioned)
        const halves = [records.filter((_, i) => i % 2 === 0), records.filter((_, i) => i % 2 === 1)]
        const options = { versioned, snapshots: [20, 50, 90] }
        const whole = new Collector()
        mergeRuns(
          halves.map(half => sourceOf(half, versioned)),
          whole,
          options,
        )
        const merge = new RunMerge(
          halves.map(half => sourceOf(half, versioned)),
          options,
        )
        const pieces: PlainRecord[][] = []
        const cuts: string[] = []
        for (let done = false; !done; ) {
          const piece = new Collector()
          done = merge.write(piece, 60)
          pieces.push(piece.records)
          if (!done) cuts.push(new TextDecoder().decode(merge.cutKey))
        }
        expect(pieces.length).toBeGreaterThan(1)
        expectPieces(pieces, cuts, whole.records, 10)
      }
    })
  })

  test('ranges of keys that are merged one by one read as the whole', async () => {
    await seeded(random => {
      for (let round = 0; round < 25; round++) {
        const records = randomRecords(random, 80, 10, versioned)
        const files = new MemoryFiles()
        const halves = [records.filter((_, i) => i % 2 === 0), records.filter((_, i) => i % 2 === 1)]
        for (const [i, half] of halves.entries()) {
          writeSegment(files, `run-${i}`, writer => {
            writer.beginPart({ logId: 1, name: 'store', kind: 2, type: PART_RUN, versioned, firstOffset: 0, endOffset: 500 })
            const source = sourceOf(half, versioned)
            while (source.next()) writer.addParsedRecord(source.record)
            writer.endPart()
          })
        }
        const whole = new Collector()
        const options = { versioned, snapshots: [20, 50, 90], ...(random.below(2) === 0 ? { dropDeletes: { sequence: latest } } : {}) }
        mergeRuns(
          halves.map(half => sourceOf(half, versioned)),
          whole,
          options,
        )
        const cuts = [...new Set(Array.from({ length: random.below(4) }, () => keyOf(random.below(20))))].sort()
        const bounds = cuts.map(cut => new TextEncoder().encode(cut))
        const pieces = [...bounds, undefined].map((to, i) => {
          const piece = new Collector()
          withReader(files, 'run-0', first =>
            withReader(files, 'run-1', second => {
              const sources = [first, second].flatMap(reader => sourcesInRange(reader, 0, { from: bounds[i - 1], to }))
              mergeRuns(sources, piece, options)
            }),
          )
          for (const { kind, value } of piece.records)
            if (kind === STORE_RANGE_DELETE && i < cuts.length) expect(value! <= cuts[i]!).toBe(true)
          return piece.records
        })
        expectPieces(pieces, cuts, whole.records, 10)
      }
    })
  })
})

test('runs of segments and memory merge into a run that verifies', async () => {
  await seeded(random => {
    const records = randomRecords(random, 3000, 700, false)
    const files = new MemoryFiles()
    const start = { logId: 1, name: 'store', kind: 2, type: PART_RUN, firstOffset: 0, endOffset: 5000 }
    const parts = [0, 1, 2].map(i => records.filter((_, at) => at % 3 === i))
    for (const [i, part] of parts.slice(0, 2).entries()) {
      writeSegment(files, `run-${i}`, writer => {
        writer.beginPart(start)
        mergeRuns([sourceOf(part, false)], writer)
        writer.endPart()
      })
    }
    writeSegment(files, 'merged', writer => {
      writer.beginPart(start)
      withReader(files, 'run-0', first =>
        withReader(files, 'run-1', second =>
          mergeRuns([new RunCursor(first, 0), new RunCursor(second, 0, { bytesMax: 1 }), sourceOf(parts[2]!, false)], writer),
        ),
      )
      writer.endPart()
    })
    expect(verifySegment(files, 'merged').findings).toEqual([])
    const expected = new Collector()
    mergeRuns([sourceOf(records, false)], expected)
    const found: PlainRecord[] = []
    withReader(files, 'merged', reader => {
      const cursor = new RunCursor(reader, 0)
      while (cursor.next()) found.push(plain(cursor.record))
    })
    expect(found).toEqual(expected.records)
  })
})

test('a record that two sources hold is written once', () => {
  const put = { kind: STORE_PUT, key: 'a', sequence: 5, value: 'v' }
  const range = { kind: STORE_RANGE_DELETE, key: 'b', sequence: 6, value: 'c' }
  const target = new Collector()
  mergeRuns([sourceOf([put, range], false), sourceOf([put, range], false)], target)
  expect(target.records).toEqual([put, range])
})

test('a repair floor holds back younger deletes of a versioned store', () => {
  const at = (key: string, ms: number): PlainRecord => ({ kind: STORE_DELETE, key, sequence: ms, version: { ms, counter: 0, node: 1 } })
  const target = new Collector()
  mergeRuns([sourceOf([at('a', 10), at('b', 11), at('c', 12)], true)], target, {
    versioned: true,
    dropDeletes: { sequence: latest, versionMs: 11 },
  })
  expect(target.records.map(({ key }) => key)).toEqual(['c'])
})

test('a history keeps all that is newer, and of each key the newest at its beginning', () => {
  const put = (key: string, sequence: number): PlainRecord => ({ kind: STORE_PUT, key, value: `v${sequence}`, sequence })
  const del = (key: string, sequence: number): PlainRecord => ({ kind: STORE_DELETE, key, sequence })
  const records = [put('a', 1), put('a', 3), put('a', 5), put('a', 7), put('b', 2), del('b', 4), put('c', 2), del('c', 6)]
  const target = new Collector()
  mergeRuns([sourceOf(records, false)], target, { keepSince: 5, dropDeletes: { sequence: latest } })
  expect(target.records.map(({ key, sequence }) => `${key}${sequence}`)).toEqual(['a7', 'a5', 'c6', 'c2'])
})

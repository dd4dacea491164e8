/**
 * Goal: whatever is wrong with an argument or an option, the error is a TypeError or RangeError that names it, and nothing has changed.
 * Folders, foreign files, newer formats and permissions: `bad-folder.test.ts`.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSimEnvironment } from '../../../engine/env/index.ts'
import type { Database, LocalLog, OpenOptions, StateMachine } from '../../../engine/index.ts'
import { openDatabase } from '../../../engine/index.ts'
import { taskRunners } from '../../../engine/maintenance/tasks.ts'

const environment = createSimEnvironment({ seed: 1, runners: taskRunners })
let database: Database
let topic: LocalLog
let store: LocalLog
let owned: LocalLog

beforeAll(async () => {
  database = await environment.drive(() => openDatabase('/data', { environment }))
  await environment.drive(() =>
    database.define([
      { name: 'topic', kind: 'topic' },
      { name: 'store', kind: 'store' },
      { name: 'owned', kind: 'topic', highWatermark: 'owner' },
    ]),
  )
  topic = database.log('topic')
  store = database.log('store')
  owned = database.log('owned')
  await environment.drive(async () => {
    await topic.appendRecords([{ value: 'a' }, { value: 'b' }]).durable
    await owned.appendRecords([{ value: 'a' }]).durable
  })
})

afterAll(async () => {
  await environment.drive(() => database.close())
})

/** A value that no type would allow; the tests are what a caller without types does. */
const bad = (value: unknown): never => value as never

type Case = readonly [what: string, run: () => unknown, error: typeof TypeError | typeof RangeError, names: RegExp]

/** Runs a case; the error must come, synchronously or as a rejection, and name the argument. */
async function expectRefusal([, run, kind, names]: Case): Promise<void> {
  let error: unknown
  try {
    await run()
  } catch (caught) {
    error = caught
  }
  expect(error).toBeInstanceOf(kind)
  expect((error as Error).message).toMatch(names)
}

const wrongOptions: readonly (readonly [name: keyof OpenOptions, value: unknown, error: typeof TypeError | typeof RangeError])[] = [
  ['durability', 'async', TypeError],
  ['durability', 1, TypeError],
  ['createIfMissing', 'yes', TypeError],
  ['errorIfExists', 0, TypeError],
  ['autoConsolidate', null, TypeError],
  ['retentionCheckMs', '5', TypeError],
  ['retentionCheckMs', 0, RangeError],
  ['sync', 'always', TypeError],
  ['environment', 'node', TypeError],
  ['environment', null, TypeError],
  ...(
    [
      'commitLogFileBytes',
      'commitLogFileBytesFirst',
      'frameBytesMax',
      'commitBytesMax',
      'pendingBytesMax',
      'tailBytesMax',
      'ownSegmentBytes',
      'closeTailBytesMax',
    ] as const
  ).flatMap(
    name =>
      [
        [name, '1', TypeError],
        [name, -1, RangeError],
        [name, 1.5, RangeError],
        [name, Number.NaN, RangeError],
        [name, Number.POSITIVE_INFINITY, RangeError],
      ] as const,
  ),
]

describe('open', () => {
  test.each(wrongOptions)('%s: %s', async (name, value, kind) => {
    await expectRefusal([name, () => openDatabase('/other', { environment, [name]: value } as OpenOptions), kind, new RegExp(name)])
  })

  test.each<Case>([
    ['path of another type', () => openDatabase(bad(1)), TypeError, /path/],
    ['empty path', () => openDatabase(''), TypeError, /path/],
    ['options null', () => openDatabase('/other', bad(null)), TypeError, /options/],
    ['unknown option', () => openDatabase('/other', bad({ environment, cacheSize: 1 })), TypeError, /cacheSize/],
  ])('%s', async (...refusal) => {
    await expectRefusal(refusal)
  })
})

describe('definitions', () => {
  test.each<Case>([
    ['no array', () => database.define(bad({ name: 'x', kind: 'topic' })), TypeError, /definitions/],
    ['null definition', () => database.define([bad(null)]), TypeError, /definition/],
    ['no name', () => database.define([bad({ kind: 'topic' })]), TypeError, /name/],
    ['empty name', () => database.define([{ name: '', kind: 'topic' }]), TypeError, /name/],
    ['long name', () => database.define([{ name: 'x'.repeat(401), kind: 'topic' }]), TypeError, /name/],
    ['reserved name', () => database.define([{ name: '$system', kind: 'topic' }]), TypeError, /name/],
    ['no kind', () => database.define([bad({ name: 'x' })]), TypeError, /kind/],
    ['wrong kind', () => database.define([{ name: 'x', kind: bad('table') }]), TypeError, /kind/],
    ['wrong highWatermark', () => database.define([{ name: 'x', kind: 'topic', highWatermark: bad('me') }]), TypeError, /highWatermark/],
    ['wrong cleanup', () => database.define([{ name: 'x', kind: 'topic', cleanup: bad('all') }]), TypeError, /cleanup/],
    ['wrong versioned', () => database.define([{ name: 'x', kind: 'store', versioned: bad(1) }]), TypeError, /versioned/],
    ['wrong body', () => database.define([{ name: 'x', kind: 'store', body: bad('yes') }]), TypeError, /body/],
    ['body of a topic', () => database.define([{ name: 'x', kind: 'topic', body: true }]), TypeError, /body/],
    ['unknown option', () => database.define([bad({ name: 'x', kind: 'topic', retention: 1 })]), TypeError, /retention/],
    ['wrong options', () => database.define([{ name: 'x', kind: 'topic', options: bad('a') }]), TypeError, /options/],
    [
      'one name twice',
      () =>
        database.define([
          { name: 'x', kind: 'topic' },
          { name: 'x', kind: 'topic' },
        ]),
      TypeError,
      /x is defined twice/,
    ],
    ['redefine: options', () => database.redefine('topic', bad(null)), TypeError, /options/],
    ['redefineAll: cleanup', () => database.redefineAll([{ name: 'topic', options: {}, cleanup: bad('all') }]), TypeError, /cleanup/],
    ['redefine: name', () => database.redefine(bad(1), {}), TypeError, /name/],
    ['rename: from', () => database.rename(bad(1), 'y'), TypeError, /from/],
    ['rename: to', () => database.rename('topic', ''), TypeError, /name/],
    ['drop: no array', () => database.drop(bad('topic')), TypeError, /names/],
    ['drop: no string', () => database.drop([bad(1)]), TypeError, /names/],
    ['get', () => database.get(bad(1)), TypeError, /name/],
    ['log', () => database.log(bad(undefined)), TypeError, /name/],
    ['lease: logs', () => database.lease({ logs: bad('topic') }), TypeError, /logs/],
    ['lease: one of the logs', () => database.lease({ logs: [bad(1)] }), TypeError, /name/],
    ['lease: bound', () => database.lease({ bound: bad('all') }), TypeError, /bound/],
    ['lease: options', () => database.lease(bad(null)), TypeError, /options/],
    ['compactLog: name', () => database.compactLog(bad(1)), TypeError, /name/],
    ['compactLog: options', () => database.compactLog('topic', bad(null)), TypeError, /options/],
    ['compactLog: retention', () => database.compactLog('topic', { deleteRetentionMs: -1 }), RangeError, /deleteRetentionMs/],
    ['compactLog: not compacted', () => database.compactLog('topic'), TypeError, /cleanup/],
  ])('%s', async (...refusal) => {
    await expectRefusal(refusal)
    expect(database.list().map(log => log.name)).toEqual(['owned', 'store', 'topic'])
  })
})

const record = { value: 'x' }
const put = { kind: 'put' as const, key: Uint8Array.of(1), value: Uint8Array.of(2) }

describe('appends', () => {
  test.each<Case>([
    ['commit: write', () => database.commit(bad(undefined)), TypeError, /write/],
    ['commit: options', () => database.commit(() => undefined, bad(null)), TypeError, /options/],
    ['commit: durability', () => database.commit(() => undefined, { durability: bad('fsync') }), TypeError, /durability/],
    ['commit: log', () => database.commit(commit => commit.appendRecords(bad({}), [record])), TypeError, /log/],
    ['records: none', () => topic.appendRecords([]), TypeError, /records/],
    ['records: no array', () => topic.appendRecords(bad(record)), TypeError, /records/],
    ['record: null', () => topic.appendRecords([bad(null)]), TypeError, /record/],
    ['key', () => topic.appendRecords([{ key: bad(1), value: 'x' }]), TypeError, /key/],
    ['value', () => topic.appendRecords([{ value: bad({}) }]), TypeError, /value/],
    ['timestamp', () => topic.appendRecords([{ value: 'x', timestamp: -1 }]), RangeError, /timestamp/],
    ['timestamp of another type', () => topic.appendRecords([{ value: 'x', timestamp: bad('now') }]), RangeError, /timestamp/],
    ['headers', () => topic.appendRecords([{ value: 'x', headers: bad({ a: 'b' }) }]), TypeError, /headers/],
    ['header: key', () => topic.appendRecords([{ value: 'x', headers: [{ key: bad(1), value: null }] }]), TypeError, /header/],
    ['header: value', () => topic.appendRecords([{ value: 'x', headers: [{ key: 'a', value: bad('b') }] }]), TypeError, /header/],
    ['options', () => topic.appendRecords([record], bad(null)), TypeError, /options/],
    ['durability', () => topic.appendRecords([record], { durability: bad(true) }), TypeError, /durability/],
    ['expectedOffset', () => topic.appendRecords([record], { expectedOffset: -1 }), RangeError, /expectedOffset/],
    ['epoch', () => topic.appendRecords([record], { epoch: 2 ** 31 }), RangeError, /epoch/],
    ['producer', () => topic.appendRecords([record], { producer: bad(1) }), TypeError, /producer/],
    ['producer: sequence', () => topic.appendRecords([record], { producer: { id: 1, epoch: 0, sequence: -1 } }), RangeError, /producer/],
    ['transactional', () => topic.appendRecords([record], { transactional: bad('yes') }), TypeError, /transactional/],
    ['compression', () => topic.appendRecords([record], { compression: bad('zip') }), RangeError, /compression/],
    ['store: key', () => store.appendRecords([{ ...put, key: bad('a') }]), TypeError, /key/],
    ['store: kind', () => store.appendRecords([{ ...put, kind: bad('merge') }]), TypeError, /kind/],
    ['store: value', () => store.appendRecords([{ ...put, value: bad('a') }]), TypeError, /value/],
    ['store: no value', () => store.appendRecords([{ kind: 'put', key: Uint8Array.of(1) }]), TypeError, /value/],
    ['store: expiry', () => store.appendRecords([{ ...put, expiry: 0 }]), RangeError, /expiry/],
    ['store: version', () => store.appendRecords([{ ...put, version: bad(1) }]), TypeError, /version/],
    ['store: version counter', () => store.appendRecords([{ ...put, version: { ms: 1, counter: 65536, node: 1 } }]), RangeError, /version/],
    ['batches: no bytes', () => topic.appendBatches(bad('abc')), TypeError, /bytes/],
    ['batches: empty', () => topic.appendBatches(new Uint8Array(0)), TypeError, /bytes/],
    ['batches: keepOffsets', () => topic.appendBatches(new Uint8Array(100), { keepOffsets: bad(1) }), TypeError, /keepOffsets/],
    ['metadata: slot', () => topic.metadata.set('', Uint8Array.of(1)), TypeError, /slot/],
    ['metadata: value', () => topic.metadata.set('a', bad('text')), TypeError, /value/],
    ['truncate', () => topic.truncateSuffix(-1), RangeError, /offset/],
    ['truncate below the high watermark', () => topic.truncateSuffix(0), RangeError, /high watermark/],
    ['trim', () => topic.trimPrefix(1.5), RangeError, /offset/],
    ['trim above the high watermark', () => topic.trimPrefix(3), RangeError, /high watermark/],
    ['reset', () => topic.resetTo(bad('0')), RangeError, /offset/],
    ['reset: options', () => topic.resetTo(0, bad(null)), TypeError, /options/],
  ])('%s', async (...refusal) => {
    await expectRefusal(refusal)
    expect([topic.endOffset, store.endOffset, owned.endOffset]).toEqual([2, 0, 1])
    expect(database.poison).toBeUndefined()
  })

  test('bytes that are no batch are CORRUPT, and nothing is appended', () => {
    expect(() => topic.appendBatches(new Uint8Array(100))).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    expect(() => store.appendBatches(new Uint8Array(100).fill(255))).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    expect([topic.endOffset, store.endOffset]).toEqual([2, 0])
  })
})

const machine: StateMachine = { apply: () => undefined, snapshot: () => new Uint8Array(0), restore: () => undefined }

describe('reads and waits', () => {
  test.each<Case>([
    ['offset', () => topic.read(-1), RangeError, /offset/],
    ['offset of another type', () => topic.read(bad('0')), RangeError, /offset/],
    ['options', () => topic.read(0, bad(null)), TypeError, /options/],
    ['bound', () => topic.read(0, { bound: bad('all') }), TypeError, /bound/],
    ['bytesMax', () => topic.read(0, { bytesMax: 0 }), RangeError, /bytesMax/],
    ['fillChecksums', () => topic.read(0, { fillChecksums: bad(1) }), TypeError, /fillChecksums/],
    ['readAsync', () => topic.readAsync(0, { bound: bad('all') }), TypeError, /bound/],
    ['offsetForTime', () => topic.offsetForTime(bad('now')), RangeError, /timestamp/],
    ['endOffsetForEpoch', () => topic.endOffsetForEpoch(-1), RangeError, /epoch/],
    ['abortedTransactions: from', () => topic.abortedTransactions(-1, 1), RangeError, /from/],
    ['abortedTransactions: to', () => topic.abortedTransactions(0, bad('1')), RangeError, /to/],
    ['waitFor: offset', () => topic.waitFor(Number.NaN), RangeError, /offset/],
    ['waitFor: bound', () => topic.waitFor(0, { bound: bad('all') }), TypeError, /bound/],
    ['waitFor: signal', () => topic.waitFor(9, { signal: bad({}) }), TypeError, /signal/],
    ['waitFor: options', () => topic.waitFor(9, bad(null)), TypeError, /options/],
    ['advance: not owned', () => topic.advanceHighWatermark(1), TypeError, /highWatermark/],
    ['advance: above durable', () => owned.advanceHighWatermark(2), RangeError, /offset/],
    ['advance: of another type', () => owned.advanceHighWatermark(bad('1')), RangeError, /offset/],
    ['attach', () => topic.attach(bad(null)), TypeError, /machine/],
    ['attach: a verb is missing', () => topic.attach({ ...machine, apply: bad(undefined) }), TypeError, /apply/],
  ])('%s', async (...refusal) => {
    await expectRefusal(refusal)
  })

  test('a position outside the log is OFFSET_OUT_OF_RANGE with the range', () => {
    const range = { log: 'topic', startOffset: 0, endOffset: 2, actual: 3 }
    expect(() => topic.read(3)).toThrow(expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE', details: range }))
  })

  test('an aborted wait rejects with the reason of its signal, before and during the wait', async () => {
    const reason = new Error('enough')
    await expect(topic.waitFor(9, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const waiting = topic.waitFor(9, { signal: controller.signal })
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
  })
})

/**
 * What the conformance tests let the engine write: one program in phases, which uses everything that has bytes of its own. Deterministic but for
 * times and random ids.
 *
 * Logs: plain, packed (compressed), transactions (producers, markers), compacted, raft (released by hand); users, bodies, versions, replica (stores).
 */

import { writeTransactionMarker } from '../../../engine/batch/control-batch.ts'
import { encodeRecordBatch } from '../../../engine/batch/record-batch-codec.ts'
import { StoreBatchWriter } from '../../../engine/batch/store-batch.ts'
import { assertCodecInstalled, codecIdOf } from '../../../engine/codec/compression.ts'
import type { Database } from '../../../engine/database.ts'
import type { CompressionName, StoreRecord } from '../../../engine/log/log.ts'

const text = new TextEncoder()
/** zstd takes the place of none where this Node can write it. */
export const codecs: readonly CompressionName[] = [canWrite('zstd') ? 'zstd' : 'none', 'gzip', 'snappy', 'lz4']

export async function define(database: Database): Promise<void> {
  await database.define([
    { name: 'plain', kind: 'topic', options: { partitions: 4, at: new Date(0).toISOString() } },
    { name: 'packed', kind: 'topic' },
    { name: 'transactions', kind: 'topic' },
    { name: 'compacted', kind: 'topic', cleanup: 'compact' },
    { name: 'raft', kind: 'topic', highWatermark: 'owner' },
    { name: 'users', kind: 'store', options: { compression: 'lz4' } },
    { name: 'bodies', kind: 'store', body: true },
    { name: 'versions', kind: 'store', versioned: true, body: true, options: { compression: 'snappy' } },
    { name: 'replica', kind: 'store', highWatermark: 'owner', body: true },
    { name: 'dropped', kind: 'topic' },
    { name: 'renamed before', kind: 'topic' },
    { name: 'columns', kind: 'topic', options: { columns: { fields: ['id', 'city', 'real', 'flag', 'deep.n', 'mixed'], codec: 'json' } } },
  ])
}

function canWrite(codec: CompressionName): boolean {
  try {
    assertCodecInstalled(codecIdOf(codec))
    return true
  } catch {
    return false
  }
}

/** Fields of every kind that a column holds, with some missing, and one that is none. */
function columnRow(id: number): unknown {
  return {
    id,
    ...(id % 5 === 0 ? {} : { city: ['Oslo', 'Århus', ''][id % 3] }),
    real: id % 4 === 0 ? null : id / 8,
    flag: id % 2 === 0,
    deep: { n: id % 3 === 0 ? null : 2 ** 40 + id },
    mixed: id % 2 === 0 ? id : 'text',
  }
}

const key = (round: number, i: number): Uint8Array => text.encode(`key ${(round * 7 + i * 13) % 40}`)

function storeRecords(round: number, count: number): StoreRecord[] {
  return Array.from({ length: count }, (_, i) => {
    if (i % 9 === 7) return { kind: 'range-delete', key: text.encode(`key 1${i}`), value: text.encode(`key 2${i}`) }
    if (i % 5 === 4) return { kind: 'delete', key: key(round, i) }
    const value = text.encode(`value ${round} ${'x'.repeat((i * 31) % 200)}`)
    return { kind: 'put', key: key(round, i), value, ...(i % 4 === 1 ? { expiry: 1_800_000_000_000 + i } : {}) }
  })
}

function withVersions(records: readonly StoreRecord[], round: number): StoreRecord[] {
  return records.map((record, i) =>
    i % 6 === 5 ? record : { ...record, version: { ms: 1_700_000_000_000 + ((i * 17) % 5), counter: (round * i) % 3, node: i } },
  )
}

/** Everything that appends, to every log; producer ids and sequences go on from round to round. */
export async function append(database: Database, round: number): Promise<void> {
  const topic = (name: string) => database.log(name)
  for (let i = 0; i < 4; i++) {
    const headers = [
      { key: 'Ünïcode', value: null },
      { key: 'round', value: Uint8Array.of(round, i) },
    ]
    topic('plain').appendRecords(
      [
        { key: `k${i}`, value: `v${round} ${'y'.repeat(i * 100)}`, headers },
        { value: '', timestamp: 0 },
        { key: null, value: null, timestamp: 2 ** 45 + i },
      ],
      { durability: 'buffered' },
    )
    const compression = codecs[i] as CompressionName
    topic('packed').appendRecords(
      Array.from({ length: 20 }, (_, n) => ({ key: `k${n}`, value: 'packed '.repeat(n * (round + 1)) })),
      { compression, producer: { id: 5, epoch: 0, sequence: (round * 4 + i) * 20 } },
    )
    topic('compacted').appendRecords([{ key: `k${i % 3}`, value: i === 3 ? null : `${round} ${i}` }])
    topic('raft').appendRecords([{ key: 'term', value: `${round} ${i}` }, { value: 'z'.repeat(300) }], { epoch: round + 1 })
    topic('columns').appendRecords(
      Array.from({ length: 30 }, (_, n) => ({
        value: n === 7 ? null : JSON.stringify(columnRow(round * 100 + i * 30 + n)),
        timestamp: 1_700_000_000_000 + n * n,
      })),
    )
    if (database.get('dropped') !== undefined) topic('dropped').appendRecords([{ value: `${round} ${i}` }])
  }
  database.commit(commit => {
    commit.appendRecords(topic('users'), storeRecords(round, 12))
    commit.appendRecords(topic('bodies'), storeRecords(round + 1, 10), { epoch: round })
    commit.appendRecords(topic('plain'), [{ key: 'together', value: String(round) }])
    commit.appendRecords(topic('versions'), withVersions(storeRecords(round, 15), round))
    commit.setMetadata(topic('raft'), 'vote', Uint8Array.of(round))
  })
  topic('replica').appendRecords(storeRecords(round, 5), { epoch: round + 1 })
  for (const codec of codecs) topic('bodies').appendBatches(readyStoreBatch(round, codec))
  appendTransactions(database, round)
  await database.flush()
}

function readyStoreBatch(round: number, codec: CompressionName): Uint8Array {
  const target = new Uint8Array(8192)
  const writer = new StoreBatchWriter()
  writer.begin(target, 0, { baseOffset: 0, baseSequence: 0, timestamp: 1_700_000_000_000 + round, epoch: 0 })
  for (let i = 0; i < 20; i++) {
    const value = text.encode(`ready ${round} ${i}`)
    writer.add(0, key(round, i), 0, key(round, i).length, value, 0, value.length, 0)
  }
  return target.subarray(0, writer.finish(codecIdOf(codec), true))
}

/** Producer 1 commits, producer 2 aborts, producer 3 stays open until the next round. */
function appendTransactions(database: Database, round: number): void {
  const log = database.log('transactions')
  const send = (id: number, sequence: number): void => {
    const bytes = encodeRecordBatch([{ key: `${id}`, value: `${round}` }, { value: 'more' }], {
      timestamp: 1_700_000_000_000 + round,
      producerId: id,
      producerEpoch: round >> 1,
      baseSequence: sequence,
      transactional: true,
    })
    log.appendBatches(bytes)
  }
  const mark = (producerId: number, type: 'abort' | 'commit'): void => {
    const bytes = new Uint8Array(200)
    const marker = { type, producerId, producerEpoch: round >> 1, coordinatorEpoch: 1, timestamp: 1_700_000_000_000 + round }
    log.appendBatches(bytes.subarray(0, writeTransactionMarker(bytes, 0, 0, 0, marker)))
  }
  if (round % 2 === 1) mark(3, 'abort')
  for (const id of [1, 2, 3]) send(id, (round % 2) * (id === 3 ? 2 : 4))
  for (const id of [1, 2]) send(id, (round % 2) * 4 + 2)
  mark(1, 'commit')
  mark(2, 'abort')
}

/** Staged commits, a cut within a batch, trims, a reset, a drop, a rename. */
export async function upset(database: Database): Promise<void> {
  const raft = database.log('raft')
  raft.advanceHighWatermark(raft.endOffset - 5)
  raft.truncateSuffix(raft.endOffset - 3)
  raft.appendRecords([{ value: 'after the cut' }], { epoch: 5 })
  const replica = database.log('replica')
  replica.advanceHighWatermark(2)
  replica.truncateSuffix(replica.endOffset - 2)
  database.commit(commit => {
    for (const name of ['plain', 'raft']) commit.appendRecords(database.log(name), [{ key: 'large', value: 'L'.repeat(20_000) }])
    commit.appendRecords(database.log('users'), [{ kind: 'put', key: text.encode('large'), value: new Uint8Array(15_000).fill(1) }])
  })
  await database.flush()
  database.log('packed').trimPrefix(25)
  database.log('plain').trimPrefix(4)
  await database.rename('renamed before', 'renamed')
  await database.redefine('plain', { partitions: 8 })
  database.log('compacted').resetTo(100)
  database.log('compacted').appendRecords([
    { key: 'a', value: '1' },
    { key: 'a', value: '2' },
  ])
  await database.flush()
}

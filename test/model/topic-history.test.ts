/**
 * Goal: producers, transactions and consumers of topics keep Kafka's promises over many lives of a machine, as the checker of histories judges it; and what
 * is broken in them on purpose, by a patch in memory, is found. See topic-history.ts.
 *
 * A failure prints its seed: VARVE_SEED=<seed> npx vitest run test/model/topic-history runs that seed alone. `npm run soak:stream` runs as many as asked.
 */
import { describe, expect, it } from 'vitest'
import { ProducerState } from '../../engine/log/producer-state.ts'
import { ConsumedBatch, Database, GroupConsumer, ProducerTransaction, type Transaction } from '../../index.ts'
import { PartitionFetcher } from '../../stream/fetch/partition-fetcher.ts'
import { ProducerRegistry } from '../../stream/produce/producer-registry.ts'
import { TransactionCoordinator } from '../../stream/transactions/coordinator.ts'
import type { AnomalyKind } from '../support/history/anomaly.ts'
import type { TextTopic } from '../support/history/topic-clients.ts'
import { checkTopicHistory, runTopicHistory } from './topic-history.ts'

const only = process.env.VARVE_SEED
const groups = 1
const seedsPerGroup = 4

describe('histories of topics', () => {
  if (only !== undefined) {
    it(`seed ${only}`, async () => {
      expect((await checkTopicHistory(Number(only))).seed).toBe(Number(only))
    }, 120_000)
    return
  }
  for (let group = 0; group < groups; group++) {
    const first = 1 + group * seedsPerGroup
    it(`seeds ${first} to ${first + seedsPerGroup - 1}`, async () => {
      let [deaths, committed] = [0, 0]
      for (let seed = first; seed < first + seedsPerGroup; seed++) {
        const { lives, report } = await checkTopicHistory(seed)
        committed += report.committed
        deaths += lives.kills + lives.powerLosses
      }
      expect(deaths).toBeGreaterThan(seedsPerGroup / 2)
      expect(committed).toBeGreaterThan(seedsPerGroup * 50)
    }, 120_000)
  }
})

/** Replaces a method while `run` runs. */
async function patched<T extends object, N extends keyof T>(
  owner: T,
  name: N,
  change: (original: T[N]) => T[N],
  run: () => Promise<void>,
): Promise<void> {
  const own = Object.getOwnPropertyDescriptor(owner, name)
  const original = owner[name]
  Object.defineProperty(owner, name, { value: change(original), configurable: true, writable: true })
  try {
    await run()
  } finally {
    if (own === undefined) Reflect.deleteProperty(owner, name)
    else Object.defineProperty(owner, name, own)
  }
}

/** A transaction whose sends go out at once. */
function leaking(tx: Transaction): Transaction {
  const leak = (topic: TextTopic): unknown => ({ send: (record: string) => void topic.send(record).catch(() => undefined) })
  return Object.assign(Object.create(tx), { topic: leak, store: tx.store, abort: () => tx.abort() }) as Transaction
}

const seedsMax = 30

async function expectFound(kind: AnomalyKind): Promise<void> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    // A client may meet what is broken itself: its history ends there.
    const report = await runTopicHistory(seed).then(
      history => history.report,
      () => undefined,
    )
    if (report?.failures.some(failure => failure.kind === kind)) {
      expect(report.counts[kind]).toBeGreaterThan(0)
      return
    }
  }
  expect.fail(`no seed up to ${seedsMax} shows ${kind}`)
}

describe.skipIf(only !== undefined)('what is broken is found', () => {
  it('a fetch that drops its last record: poll-skip', () =>
    patched(
      PartitionFetcher.prototype,
      'next',
      next =>
        function (this: PartitionFetcher, ...args) {
          const records = next.apply(this, args)
          if (Array.isArray(records) && records.length > 1) records.pop()
          return records
        },
      () => expectFound('poll-skip'),
    ))

  it('a fetch that goes back one record: nonmonotonic-poll', () =>
    patched(
      PartitionFetcher.prototype,
      'next',
      next =>
        function (this: PartitionFetcher, ...args) {
          const records = next.apply(this, args)
          if (Array.isArray(records) && records.length > 1) this.seek(records.at(-1)!.offset)
          return records
        },
      () => expectFound('nonmonotonic-poll'),
    ))

  it('acknowledgements that do not wait for the disk: unseen', () =>
    patched(
      Database.prototype,
      'commit',
      commit =>
        function (this: Database, write) {
          return commit.call(this, write, { durability: 'none' })
        },
      () => expectFound('unseen'),
    ))

  it('transactions that forget the offsets of what they consumed: group-duplicate', () =>
    patched(
      ConsumedBatch.prototype,
      'commitWith',
      () => () => undefined,
      () => expectFound('group-duplicate'),
    ))

  it('commits of what is handed out while it is processed: group-lost', () =>
    patched(
      GroupConsumer.prototype,
      'poll',
      poll =>
        async function (this: GroupConsumer, options) {
          const batch = await poll.call(this, options)
          await batch?.commit().catch(() => undefined)
          return batch
        },
      () => expectFound('group-lost'),
    ))

  it('a stored slice without its last batch: poll-skip', () =>
    patched(
      PartitionFetcher.prototype,
      'nextRaw',
      nextRaw =>
        async function (this: PartitionFetcher, ...args) {
          const slice = await nextRaw.apply(this, args)
          return slice === undefined || slice.positions.length < 2 ? slice : { ...slice, positions: slice.positions.slice(0, -1) }
        },
      () => expectFound('poll-skip'),
    ))

  it('a named producer that does not know what it sent before: duplicate', () =>
    patched(
      ProducerRegistry.prototype,
      'last',
      () => () => undefined,
      () => expectFound('duplicate'),
    ))

  it('batches that are not known again: duplicate', () =>
    patched(
      ProducerState.prototype,
      'check',
      () => () => undefined,
      () => expectFound('duplicate'),
    ))

  it('a transaction of a producer that forgets the offsets of what it consumed: group-duplicate', () =>
    patched(
      ProducerTransaction.prototype,
      'addOffsets',
      () => () => undefined,
      () => expectFound('group-duplicate'),
    ))

  it('aborts that end with the marker of a commit: G1a', () =>
    patched(
      TransactionCoordinator.prototype,
      'end',
      end =>
        function (this: TransactionCoordinator, transaction, _, add) {
          return end.call(this, transaction, 'commit', add)
        },
      () => expectFound('G1a'),
    ))

  it('a last stable offset behind the first record of an open transaction: precommitted-read', () =>
    patched(
      ProducerState.prototype,
      'firstOpenOffset',
      first =>
        function (this: ProducerState) {
          const offset = first.call(this)
          return offset === undefined ? undefined : offset + 1
        },
      () => expectFound('precommitted-read'),
    ))

  it('sends of a transaction that do not wait for its end: G1a', () =>
    patched(
      Database.prototype,
      'transaction',
      transaction =>
        function (this: Database, body, options) {
          return transaction.call(this, tx => body(leaking(tx)), options) as never
        },
      () => expectFound('G1a'),
    ))
})

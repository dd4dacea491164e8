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
import { sumsOf } from '../support/history/held.ts'
import type { TextTopic } from '../support/history/topic-clients.ts'
import { onlySeed, testSeeds } from '../support/seeds.ts'
import { checkTopicHistory, runTopicHistory } from './topic-history.ts'

describe('histories of topics', () => {
  testSeeds({
    perGroup: 4,
    run: checkTopicHistory,
    check: histories => {
      const { deaths, committed } = sumsOf(histories)
      expect(deaths).toBeGreaterThan(histories.length / 2)
      expect(committed).toBeGreaterThan(histories.length * 50)
    },
  })
})

/** Replaces a method while `run` runs. */
type Patch = (run: () => Promise<void>) => Promise<void>

function patchOf<T extends object, N extends keyof T>(owner: T, name: N, change: (original: T[N]) => T[N]): Patch {
  return async run => {
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
}

/** A transaction whose sends go out at once. */
function leaking(tx: Transaction): Transaction {
  const leak = (topic: TextTopic): unknown => ({ send: (record: string) => void topic.send(record).catch(() => undefined) })
  const bound = {
    topic: leak,
    store: tx.store.bind(tx),
    abort: tx.abort.bind(tx),
    beforeCommit: tx.beforeCommit.bind(tx),
    afterCommit: tx.afterCommit.bind(tx),
    log: tx.log.bind(tx),
  }
  return bound as unknown as Transaction
}

const breaks: readonly (readonly [name: string, found: AnomalyKind, patch: Patch])[] = [
  [
    'a fetch that drops its last record',
    'poll-skip',
    patchOf(
      PartitionFetcher.prototype,
      'next',
      next =>
        function (this: PartitionFetcher, ...args) {
          const records = next.apply(this, args)
          if (Array.isArray(records) && records.length > 1) records.pop()
          return records
        },
    ),
  ],
  [
    'a fetch that goes back one record',
    'nonmonotonic-poll',
    patchOf(
      PartitionFetcher.prototype,
      'next',
      next =>
        function (this: PartitionFetcher, ...args) {
          const records = next.apply(this, args)
          if (Array.isArray(records) && records.length > 1) this.seek(records.at(-1)!.offset)
          return records
        },
    ),
  ],
  [
    'acknowledgements that do not wait for the disk',
    'unseen',
    patchOf(
      Database.prototype,
      'commit',
      commit =>
        function (this: Database, write) {
          return commit.call(this, write, { durability: 'none' })
        },
    ),
  ],
  [
    'transactions that forget the offsets of what they consumed',
    'group-duplicate',
    patchOf(ConsumedBatch.prototype, 'commitWith', () => () => undefined),
  ],
  [
    'commits of what is handed out while it is processed',
    'group-lost',
    patchOf(
      GroupConsumer.prototype,
      'poll',
      poll =>
        async function (this: GroupConsumer, options) {
          const batch = await poll.call(this, options)
          await batch?.commit().catch(() => undefined)
          return batch
        },
    ),
  ],
  [
    'a stored slice without its last batch',
    'poll-skip',
    patchOf(
      PartitionFetcher.prototype,
      'nextRaw',
      nextRaw =>
        async function (this: PartitionFetcher, ...args) {
          const slice = await nextRaw.apply(this, args)
          return slice === undefined || slice.positions.length < 2 ? slice : { ...slice, positions: slice.positions.slice(0, -1) }
        },
    ),
  ],
  [
    'a named producer that does not know what it sent before',
    'duplicate',
    patchOf(ProducerRegistry.prototype, 'last', () => () => undefined),
  ],
  ['batches that are not known again', 'duplicate', patchOf(ProducerState.prototype, 'check', () => () => undefined)],
  [
    'a transaction of a producer that forgets the offsets of what it consumed',
    'group-duplicate',
    patchOf(ProducerTransaction.prototype, 'addOffsets', () => () => undefined),
  ],
  [
    'aborts that end with the marker of a commit',
    'G1a',
    patchOf(
      TransactionCoordinator.prototype,
      'end',
      end =>
        function (this: TransactionCoordinator, transaction, _, add) {
          return end.call(this, transaction, 'commit', add)
        },
    ),
  ],
  [
    'a last stable offset behind the first record of an open transaction',
    'precommitted-read',
    patchOf(
      ProducerState.prototype,
      'firstOpenOffset',
      first =>
        function (this: ProducerState) {
          const offset = first.call(this)
          return offset === undefined ? undefined : offset + 1
        },
    ),
  ],
  [
    'sends of a transaction that do not wait for its end',
    'G1a',
    patchOf(
      Database.prototype,
      'transaction',
      transaction =>
        function (this: Database, body, options) {
          return transaction.call(this, tx => body(leaking(tx)), options) as never
        },
    ),
  ],
]

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

describe.skipIf(onlySeed !== undefined)('what is broken is found', () => {
  it.each(breaks)('%s: %s', (_, found, patch) => patch(() => expectFound(found)))
})

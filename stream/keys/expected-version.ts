/** Appends that are made only if a key's newest record is the one that the writer has seen: optimistic concurrency of event-sourced aggregates. */
import { type TopicRecord, VarveError } from '../../engine/index.ts'
import type { PartitionBatch } from '../produce/send-batch.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import type { KeyIndex } from './key-index.ts'

/** Of `Topic.send`, `Topic.sendBatch` and their likes within a transaction. */
export interface AppendCondition {
  /**
   * Append only if this is the version of the key: the offset of its newest record, as `topic.version`, `send` and records give it, or -1 when it has none. Else
   * CONFLICT, and nothing is written. All records of the call must have one key. Needs a topic with `keyIndex: true`.
   */
  readonly expectedVersion?: number | undefined
}

/** What is checked in the turn of the commit. */
export interface VersionCheck {
  readonly index: KeyIndex
  /** Throws CONFLICT unless the version is the expected one, NOT_READY while the index is built. */
  check(): void
}

const encoder = new TextEncoder()

/** The index of a topic. TypeError for a topic without one. */
export function keyIndexOf(core: Pick<TopicCore, 'name' | 'keyIndex'>): KeyIndex {
  if (core.keyIndex === undefined) throw new TypeError(`topic ${core.name} keeps no index of keys: define or alter it with keyIndex: true`)
  return core.keyIndex
}

/** A key's bytes. */
export function keyBytesOf(key: string | Uint8Array): Uint8Array {
  return typeof key === 'string' ? encoder.encode(key) : key
}

/** What `condition` asks of these batches; undefined for nothing. TypeError, RangeError. */
export function versionCheck<V, K>(
  core: TopicCore<V, K>,
  batches: readonly PartitionBatch[],
  condition: AppendCondition | undefined,
): VersionCheck | undefined {
  if (condition === undefined) return undefined
  if (typeof condition !== 'object' || condition === null) throw new TypeError(`options must be an object, got ${String(condition)}`)
  for (const name of Object.keys(condition)) if (name !== 'expectedVersion') throw new TypeError(`unknown option of send: ${name}`)
  const { expectedVersion: expected } = condition
  if (expected === undefined || batches.length === 0) return undefined
  if (!Number.isSafeInteger(expected) || expected < -1)
    throw new RangeError(`expectedVersion must be an offset, or -1 for a key without records, got ${String(expected)}`)
  const index = keyIndexOf(core)
  const [{ partition, records }] = batches as [PartitionBatch]
  const { key } = records[0] as TopicRecord
  if (key === undefined || key === null) throw new TypeError('expectedVersion needs records with a key')
  const bytes = keyBytesOf(key)
  for (const batch of batches) {
    if (batch.partition !== partition) throw new TypeError('expectedVersion needs records of one partition')
    for (const { key: other } of batch.records)
      if (other !== key && (other === undefined || other === null || Buffer.compare(keyBytesOf(other), bytes) !== 0))
        throw new TypeError('expectedVersion needs records of one key')
  }
  return {
    index,
    check() {
      const actual = index.version(partition, bytes)
      if (actual === expected) return
      const decoded = core.keys.decode(bytes, 0, bytes.length)
      throw new VarveError(
        'CONFLICT',
        `topic ${core.name}: the version of key ${JSON.stringify(decoded)} is ${actual}, ${expected} was expected`,
        { details: { topic: core.name, partition, key: decoded, expected, actual } },
      )
    },
  }
}

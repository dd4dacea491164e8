/** Appends that are made only if a key's newest record is the one that the writer has seen: optimistic concurrency of event-sourced aggregates. */
import { VarveError } from '../../engine/index.ts'
import type { PreparedRecord, TopicCore } from '../topic/topic-core.ts'
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
  /** Told of each record that is appended. TypeError when they are not all of one key. */
  take(record: PreparedRecord): void
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

/** What `condition` asks of the records that will be appended; undefined for nothing. TypeError, RangeError. */
export function versionCheck<V, K>(core: TopicCore<V, K>, condition: AppendCondition | undefined): VersionCheck | undefined {
  if (condition === undefined) return undefined
  if (typeof condition !== 'object' || condition === null) throw new TypeError(`options must be an object, got ${String(condition)}`)
  for (const name of Object.keys(condition)) if (name !== 'expectedVersion') throw new TypeError(`unknown option of send: ${name}`)
  const { expectedVersion: expected } = condition
  if (expected === undefined) return undefined
  if (!Number.isSafeInteger(expected) || expected < -1)
    throw new RangeError(`expectedVersion must be an offset, or -1 for a key without records, got ${String(expected)}`)
  const index = keyIndexOf(core)
  let of: { readonly partition: number; readonly bytes: Uint8Array } | undefined
  return {
    index,
    take({ partition, key }) {
      if (key === null) throw new TypeError('expectedVersion needs records with a key')
      if (of === undefined) of = { partition, bytes: keyBytesOf(key).slice() }
      else if (of.partition !== partition) throw new TypeError('expectedVersion needs records of one partition')
      else if (Buffer.compare(keyBytesOf(key), of.bytes) !== 0) throw new TypeError('expectedVersion needs records of one key')
    },
    check() {
      if (of === undefined) return
      const { partition, bytes } = of
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

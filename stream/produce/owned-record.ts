/** What is kept until a later turn must be ours: bytes may be the caller's, who may write them again. */
import type { TopicRecord } from '../../engine/index.ts'
import { keep } from '../codec/slab.ts'
import type { PreparedRecord } from '../topic/topic-core.ts'

/** The record, with copies of its bytes. */
export function ownedRecord({ key, value, timestamp, headers }: PreparedRecord): TopicRecord {
  const record = { key: copied(key), value: copied(value), timestamp }
  return headers === undefined ? record : { ...record, headers: headers.map(header => ({ key: header.key, value: copied(header.value) })) }
}

function copied<T extends string | Uint8Array | null>(bytes: T): T {
  return (typeof bytes === 'object' && bytes !== null ? keep(bytes) : bytes) as T
}

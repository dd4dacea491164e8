/** What is kept until a later turn must be ours: bytes may be the caller's, who may write them again. */
import type { TopicRecord } from '../../engine/index.ts'

/** The record, with copies of its bytes. */
export function ownedRecord(record: TopicRecord): TopicRecord {
  const { key = null, value } = record
  const isShared = (typeof value === 'object' && value !== null) || (typeof key === 'object' && key !== null)
  return isShared ? { ...record, key: copied(key), value: copied(value) } : record
}

function copied<T extends string | Uint8Array | null>(bytes: T): T {
  return (typeof bytes === 'object' && bytes !== null ? (bytes as Uint8Array).slice() : bytes) as T
}

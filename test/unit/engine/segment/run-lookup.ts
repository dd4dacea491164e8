/** Lookups of single keys in a run of a segment, as a store does them. */
import { createKeyHash, hashKey } from '../../../../engine/batch/store-keys.ts'
import { StoreRecordCursor } from '../../../../engine/batch/store-record.ts'
import { partRef } from '../../../../engine/log/parts.ts'
import type { SegmentReader } from '../../../../engine/segment/reader.ts'
import { BlockCache } from '../../../../engine/store/block-cache.ts'
import { Run } from '../../../../engine/store/run.ts'

export class RunLookup {
  /** What `get` found. */
  readonly record: StoreRecordCursor = new StoreRecordCursor()
  readonly run: Run

  constructor(reader: SegmentReader, part: number) {
    this.run = new Run(partRef(reader, part), new BlockCache(1 << 20))
  }

  get filtered(): number {
    return this.run.filtered
  }

  get(
    key: Uint8Array,
    start: number,
    size: number,
    hash: Int32Array = createKeyHash(),
    sequenceMax: number = Number.MAX_SAFE_INTEGER,
  ): boolean {
    hashKey(key, start, size, hash)
    return this.run.find(key, start, size, hash, sequenceMax, this.record)
  }
}

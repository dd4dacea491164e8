/**
 * Where the fields of a record batch lie: Kafka's RecordBatch version 2, byte for byte, big-endian.
 *
 * The records behind the header are described in `record-batch-writer.ts`. Positions are counted from the first byte of the batch. The checksum covers
 * everything from the attributes on, so base offset and epoch may be rewritten without it.
 */

export const RECORD_BATCH_MAGIC: number = 2
export const RECORD_BATCH_HEADER_BYTES: number = 61
/** What the length field does not count: base offset and the length itself. */
export const RECORD_BATCH_LENGTH_EXCLUDES: number = 12

/** i64: offset of the first record, or of the first there was before compaction. */
export const BASE_OFFSET_AT: number = 0
/** i32: bytes behind this field. */
export const LENGTH_AT: number = 8
/** i32: epoch of the leader that accepted the batch; -1 unknown. */
export const EPOCH_AT: number = 12
/** i8: 2. */
export const MAGIC_AT: number = 16
/** u32: CRC-32C of everything from `ATTRIBUTES_AT` to the end. */
export const CRC_AT: number = 17
/** i16. */
export const ATTRIBUTES_AT: number = 21
/** i32: offset of the last record, or of the last there was before compaction, less the base offset. */
export const LAST_OFFSET_DELTA_AT: number = 23
/** i64, milliseconds: records hold their distance to it; with `ATTRIBUTE_DELETE_HORIZON` it is also that moment. */
export const BASE_TIMESTAMP_AT: number = 27
/** i64, milliseconds; -1 when no record has one. */
export const MAX_TIMESTAMP_AT: number = 35
/** i64: -1 none. */
export const PRODUCER_ID_AT: number = 43
/** i16: -1 none. */
export const PRODUCER_EPOCH_AT: number = 51
/** i32: sequence of the record with offset delta 0; -1 none. */
export const BASE_SEQUENCE_AT: number = 53
/** i32. */
export const RECORD_COUNT_AT: number = 57

/** The codec's number, 0-4. */
export const ATTRIBUTES_CODEC_MASK: number = 0x07
/** Every record's timestamp is the batch's largest: the moment of the append, not of the creation. */
export const ATTRIBUTE_APPEND_TIME: number = 0x08
export const ATTRIBUTE_TRANSACTIONAL: number = 0x10
/** The records are markers for readers, not data. */
export const ATTRIBUTE_CONTROL: number = 0x20
/** The base timestamp is the moment from which on compaction may drop the batch's tombstones or markers. */
export const ATTRIBUTE_DELETE_HORIZON: number = 0x40

/** Stands for "none" in producer id, producer epoch, base sequence, epoch and timestamps. */
export const NONE: number = -1

/** Sequences and offset deltas are below this. */
export const SEQUENCE_LIMIT: number = 2 ** 31

/** Bytes that compressed records may make, unless the caller says otherwise. */
export const RECORDS_BYTES_MAX: number = 128 * 1024 * 1024

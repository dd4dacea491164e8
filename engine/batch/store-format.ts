/**
 * Layout of store batches and store records: constants only. The prose and a worked example are in docs/FORMAT.md, "Store batches"; a test
 * holds the numbers there against these.
 *
 *   store batch     := header extensions records
 *   records         := record*                          codec 0
 *                    | uncompressedBytes:varint block   other codecs: the records compressed as one block
 *   record          := bytes:varint flags:u8 sequence:varint [expiry:varint] [version] [extensionBytes:varint extensions]
 *                      keyBytes:varint key value         `bytes` counts what follows it; the value is the rest
 *   version         := ms:u48 counter:u16 node:u32
 *
 * All integers are little-endian, varints are unsigned LEB128, u64 values are at most 2^53 - 1.
 */

export const STORE_BATCH_VERSION = 1
/** Header without extensions; also the smallest batch. */
export const STORE_BATCH_HEADER_BYTES = 56

/** u32: the whole batch. */
export const STORE_BATCH_SIZE = 0
/** u8. */
export const STORE_BATCH_VERSION_AT = 4
/** u8: compression of the records section; the numbers are those of Kafka (0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd). */
export const STORE_BATCH_CODEC = 5
/** u16: see STORE_BATCH_FLAG_*. */
export const STORE_BATCH_FLAGS = 6
/** u64: offset of the first record in its log; record i has this plus i. */
export const STORE_BATCH_BASE_OFFSET = 8
/** u64: sequence of the first record; record i has this plus i, and carries it too. */
export const STORE_BATCH_BASE_SEQUENCE = 16
/** u64: ms since 1970 when the batch was appended. */
export const STORE_BATCH_TIMESTAMP = 24
/** i32: leader epoch. */
export const STORE_BATCH_EPOCH = 32
/** u32: records. */
export const STORE_BATCH_COUNT = 36
/** 8 bytes: xxh64 of bytes 0..39 followed by bytes 48..end; meaningful with STORE_BATCH_FLAG_CHECKSUM, else zero. */
export const STORE_BATCH_CHECKSUM = 40
/** u16: header with extensions; the records begin here. */
export const STORE_BATCH_HEADER_SIZE = 48
/** 6 zero bytes. */
export const STORE_BATCH_ZEROS = 50

/** The checksum is filled. */
export const STORE_BATCH_FLAG_CHECKSUM = 1
export const STORE_BATCH_FLAGS_KNOWN = 1

/** Record kinds: bits 0-1 of the record flags. */
export const STORE_PUT = 0
export const STORE_DELETE = 1
/** Key: first key of the range; value: first key after it. */
export const STORE_RANGE_DELETE = 2
/** The value is a reference into a value segment. */
export const STORE_POINTER = 3

export const STORE_RECORD_KIND_MASK = 3
export const STORE_RECORD_EXPIRY = 4
export const STORE_RECORD_VERSION = 8
export const STORE_RECORD_EXTENSIONS = 16
/** Any other bit: written by a newer version. */
export const STORE_RECORD_FLAGS_KNOWN = 31
/** ms u48, counter u16, node u32. */
export const STORE_RECORD_VERSION_BYTES = 12

/** Largest record and largest batch; bounds every length before memory is reserved for it. */
export const STORE_BYTES_LIMIT = 0x4000_0000

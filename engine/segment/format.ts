/**
 * Layout of segment files: constants only. The prose and a worked example are in docs/FORMAT.md, "Segments"; a test holds the numbers there
 * against these. All integers are little-endian; u64 values are at most 2^53 - 1; a checksum is xxh64 (seed 0), 8 bytes.
 *
 *   segment          := header body* index* directory footer trailer      nothing between, nothing behind; every byte under a checksum
 *   body             := block*                                           one per part, in the order in which parts were written
 *   block            := batch+                                           topic and body parts: whole batches, about 64 KB
 *                     | record+ recordPosition:u32* count:u32            run parts: about 4 KB, positions count from the block's start
 *                     | the same, compressed                           a run that was written with a codec; see TABLE_BLOCK_CODECS
 *   index            := batchIndex | runIndex                            one per part, in the same order; its checksum is in the directory
 *   batchIndex       := blockCount:u32 zero:u32 batchBlockEntry* tables
 *   runIndex         := blockCount:u32 keysBytes:u32 runBlockEntry* keys tables
 *   tables           := extension fields (docs/FORMAT.md, "Extensions"), tags TABLE_*
 *   directory        := directoryEntry*                                  sorted by (logId, type, firstOffset); a part's number is its place here
 *   footer           := fixed fields, replaced*, names*, extensions
 */

/** 'VARVESEG' and 'VARVEEND', as bytes. */
export const SEGMENT_MAGIC: Uint8Array = Uint8Array.of(0x56, 0x41, 0x52, 0x56, 0x45, 0x53, 0x45, 0x47)
export const SEGMENT_END_MAGIC: Uint8Array = Uint8Array.of(0x56, 0x41, 0x52, 0x56, 0x45, 0x45, 0x4e, 0x44)
export const SEGMENT_VERSION = 1

/** Header. */
export const SEGMENT_HEADER_BYTES = 64
export const HEADER_MAGIC = 0
/** u16. */
export const HEADER_VERSION = 8
/** u16: none defined. */
export const HEADER_FLAGS = 10
/** u32: SEGMENT_HEADER_BYTES. */
export const HEADER_SIZE = 12
/** u64. */
export const HEADER_SEGMENT_ID = 16
/** 8 bytes, drawn when the database was created. */
export const HEADER_DATABASE_ID = 24
/** u64: the edit of the system log that made this file. */
export const HEADER_EDIT_ID = 32
/** u64: ms since 1970. */
export const HEADER_CREATED = 40
/** 8 zero bytes. */
export const HEADER_ZEROS = 48
/** Checksum of the bytes before it. */
export const HEADER_CHECKSUM = 56

/** Part types. */
export const PART_TOPIC = 1
export const PART_RUN = 2
export const PART_BODY = 3

/** Run parts: records of one key stand in version order (see `compareNewestFirst`). */
export const PART_FLAG_VERSIONED = 1
export const PART_FLAGS_KNOWN = 1

/** Directory entry. */
export const DIRECTORY_ENTRY_BYTES = 112
/** u32. */
export const DIRECTORY_LOG_ID = 0
/** u8: PART_TOPIC, PART_RUN, PART_BODY. */
export const DIRECTORY_TYPE = 4
/** u8: level of a run; 0 for others. */
export const DIRECTORY_LEVEL = 5
/** u16: PART_FLAG_*. */
export const DIRECTORY_FLAGS = 6
/** u64: where the body begins in the file. */
export const DIRECTORY_BODY_POSITION = 8
/** u64: bytes of the body. */
export const DIRECTORY_BODY_BYTES = 16
/** u64: the range of offsets [first, end) that the part stands for; compaction may have left gaps in it. */
export const DIRECTORY_FIRST_OFFSET = 24
export const DIRECTORY_END_OFFSET = 32
/** u64. */
export const DIRECTORY_RECORD_COUNT = 40
/** i64: ms; -1 unknown. Topic parts: the smallest base timestamp of a batch, than which later records of it may be older; -1 as soon as one batch does not tell. */
export const DIRECTORY_MIN_TIMESTAMP = 48
/** i64: ms; -1 unknown. */
export const DIRECTORY_MAX_TIMESTAMP = 56
/** u64: smallest and largest record sequence; for topic parts what the writer was told, else 0. */
export const DIRECTORY_MIN_SEQUENCE = 64
export const DIRECTORY_MAX_SEQUENCE = 72
/** u64: where the index section begins in the file. */
export const DIRECTORY_INDEX_POSITION = 80
/** u32. */
export const DIRECTORY_INDEX_BYTES = 88
/** u32. */
export const DIRECTORY_BLOCK_COUNT = 92
/** Checksum of the index section. */
export const DIRECTORY_INDEX_CHECKSUM = 96
/** u32: batches; 0 for runs. */
export const DIRECTORY_BATCH_COUNT = 104
/** u32 zero. */
export const DIRECTORY_ZEROS = 108

/** Both kinds of index section begin with blockCount u32 and keysBytes u32 (zero in a batch index). */
export const INDEX_HEADER_BYTES = 8

/** Block entry of topic and body parts. */
export const BATCH_BLOCK_ENTRY_BYTES = 48
/** u64: offset of the first record; u64: offset after the last one. */
export const BATCH_BLOCK_BASE_OFFSET = 0
export const BATCH_BLOCK_END_OFFSET = 8
/** u64: from the beginning of the body. */
export const BATCH_BLOCK_POSITION = 16
/** u32. */
export const BATCH_BLOCK_BYTES = 24
/** u32. */
export const BATCH_BLOCK_BATCH_COUNT = 28
/** i64: largest timestamp in this block and all before it in the part; -1 unknown. */
export const BATCH_BLOCK_MAX_TIMESTAMP = 32
export const BATCH_BLOCK_CHECKSUM = 40

/** Block entry of run parts. */
export const RUN_BLOCK_ENTRY_BYTES = 32
/** u64: from the beginning of the body. */
export const RUN_BLOCK_POSITION = 0
/** u32: with offset table and count. */
export const RUN_BLOCK_BYTES = 8
/** u32. */
export const RUN_BLOCK_RECORD_COUNT = 12
export const RUN_BLOCK_CHECKSUM = 16
/** u32, u32: the first record's key in the key bytes behind the entries. */
export const RUN_BLOCK_KEY_POSITION = 24
export const RUN_BLOCK_KEY_BYTES = 28

/** Topic and body: (epoch i32, startOffset u64)*: first offset of each leader epoch within the part, ascending. */
export const TABLE_EPOCHS = 2
export const EPOCH_ENTRY_BYTES = 12
/** Topic: (producerId i64, firstOffset u64, lastOffset u64, lastStableOffset u64)*, by lastOffset. */
export const TABLE_ABORTED = 4
export const ABORTED_ENTRY_BYTES = 32
/** Topic: (smallest timestamp i64, largest timestamp i64, records u32, zero u32)*, one for each block; of records of users alone, -1 where it is not known. */
export const TABLE_BLOCK_STATISTICS = 20
export const BLOCK_STATISTICS_BYTES = 24
export const BLOCK_STATISTICS_MIN_TIMESTAMP = 0
export const BLOCK_STATISTICS_MAX_TIMESTAMP = 8
export const BLOCK_STATISTICS_RECORDS = 16
/** Topic, run: the columns that follow the body; see `column-index.ts`. */
export const TABLE_COLUMNS = 22
/** u16 fields, u32 groups, then the names of fields, then the groups. */
export const COLUMNS_HEADER_BYTES = 6
/** u32 end block, u32 rows, u32 flags, then an entry for each field. */
export const COLUMN_GROUP_HEADER_BYTES = 12
/** Every record of the group is a put that does not expire, and no key is there twice. */
export const COLUMN_GROUP_FLAG_PLAIN = 1
/** u32: bytes of the column, 0: there is none; then its checksum. */
export const COLUMN_ENTRY_BYTES = 12
/** Columns begin at multiples of it, counted from the first. */
export const COLUMN_ALIGNMENT = 8
/** Names of fields that the writer adds to those that are declared. */
export const COLUMN_TIME = '@time'
export const COLUMN_OFFSET = '@offset'

/** A column: encoding u8, width u8, flags u8, zero u8, rows u32, then 8 bytes that are the base (f64), or two numbers (u32). */
export const COLUMN_HEADER_BYTES = 16
export const COLUMN_ENCODING = 0
export const COLUMN_WIDTH = 1
export const COLUMN_FLAGS = 2
export const COLUMN_ROWS = 4
export const COLUMN_BASE = 8
/** Behind the data stands a byte for each row: 1 null, 0 not. */
export const COLUMN_FLAG_NULLS = 1
/** Integers: each is one more than the one before. */
export const COLUMN_FLAG_SEQUENCE = 2
/** All rows are null. */
export const COLUMN_NOTHING = 0
/** f64 each. */
export const COLUMN_DOUBLES = 1
/** Whole numbers: what each has beyond the base, in `width` bytes; width 0: nothing. */
export const COLUMN_INTEGERS = 2
/** A byte each: 0 false, 1 true, 2 null. */
export const COLUMN_BOOLEANS = 3
/** Codes of `width` bytes, then ends (u32) of the entries, then their text. The number of entries is null. */
export const COLUMN_DICTIONARY = 4
/** Borders (u32), one more than there are rows, then the text. */
export const COLUMN_TEXTS = 5
/** Topic: producer state at the end of the part, opaque here. */
export const TABLE_PRODUCER_STATE = 6
/** Run: counts and bounds, STATISTICS_BYTES. */
export const TABLE_STATISTICS = 8
/** Run: key of the last record. */
export const TABLE_LARGEST_KEY = 10
/** Run: see `filter.ts`. */
export const TABLE_FILTER = 12
/** Run: copies of the range delete records, in their order. */
export const TABLE_RANGE_DELETES = 14
/** Run that was written with a codec: how each block is stored. Odd: nobody may read blocks without it. */
export const TABLE_BLOCK_CODECS = 15

/** Entry of TABLE_BLOCK_CODECS, one a block. */
export const BLOCK_CODEC_ENTRY_BYTES = 8
/** u32: bytes of the block when it is not compressed. */
export const BLOCK_CODEC_CONTENT_BYTES = 0
/** u8: as in a store batch; 0: the block is stored as it is. */
export const BLOCK_CODEC_ID = 4
/** 3 zero bytes. */
export const BLOCK_CODEC_ZEROS = 5
/** Content of a compressed block: a record of the largest size, and room. */
export const BLOCK_CONTENT_LIMIT: number = 0x4000_0000 + 0x10_0000
/** The level of runs that hold the oldest data of their store: pieces, each of a range of keys of its own. */
export const LEVEL_BOTTOM = 7

/** Run that is a piece of the bottom level: first key of the range that it stands for. Absent: from the beginning. */
export const TABLE_KEY_FROM = 16
/** The same: end of that range, exclusive. Absent: to the end. */
export const TABLE_KEY_TO = 18

/** Statistics of a run: six u64, then two versions (ms u48, counter u16, node u32), then two u64. */
export const STATISTICS_BYTES = 88
export const STATISTICS_PUTS = 0
export const STATISTICS_DELETES = 8
export const STATISTICS_RANGE_DELETES = 16
export const STATISTICS_POINTERS = 24
/** Smallest and largest expiry; 0 when no record expires. */
export const STATISTICS_MIN_EXPIRY = 32
export const STATISTICS_MAX_EXPIRY = 40
/** Zeros when no record has a version. */
export const STATISTICS_MIN_VERSION = 48
export const STATISTICS_MAX_VERSION = 60
/** Records with an expiry, records with a version. */
export const STATISTICS_EXPIRING = 72
export const STATISTICS_VERSIONED = 80

/** Extension of the footer: summaries of runs whose index section is larger than `SUMMARY_INDEX_BYTES_MIN`. */
export const FOOTER_RUN_SUMMARIES = 2
/** A smaller index section is read as fast as its summary. */
export const SUMMARY_INDEX_BYTES_MIN: number = 4 * 1024
/** Flags of a summary. */
export const SUMMARY_RANGE_DELETES = 1
export const SUMMARY_KEY_FROM = 2
export const SUMMARY_KEY_TO = 4
export const SUMMARY_CODECS = 8
export const SUMMARY_FLAGS_KNOWN = 15

/** Footer: fixed fields, then replaced, names, extensions. */
export const FOOTER_FIXED_BYTES = 56
/** u64, u64: as in the header. */
export const FOOTER_SEGMENT_ID = 0
export const FOOTER_EDIT_ID = 8
/** u32, u32: this file is output `index` (from 0) of `count` of its edit. */
export const FOOTER_OUTPUT_INDEX = 16
export const FOOTER_OUTPUT_COUNT = 20
/** u64, u32: position of the directory, number of parts. */
export const FOOTER_DIRECTORY_POSITION = 24
export const FOOTER_PART_COUNT = 32
/** u32: entries of `replaced`. */
export const FOOTER_REPLACED_COUNT = 36
/** Checksum of the directory. */
export const FOOTER_DIRECTORY_CHECKSUM = 40
/** u32: entries of `names`. */
export const FOOTER_NAME_COUNT = 48
/** u32 zero. */
export const FOOTER_ZEROS = 52
/** (segmentId u64, part u32): a part that this edit replaced. */
export const REPLACED_ENTRY_BYTES = 12
/** logId u32, kind u8, zero u8, nameBytes u16, then the name in UTF-8. */
export const NAME_ENTRY_BYTES = 8

/** Trailer: the last bytes of the file. */
export const TRAILER_BYTES = 40
/** u64, u32. */
export const TRAILER_FOOTER_POSITION = 0
export const TRAILER_FOOTER_BYTES = 8
/** u16, u16. */
export const TRAILER_VERSION = 12
export const TRAILER_FLAGS = 14
/** Checksum of the footer. */
export const TRAILER_FOOTER_CHECKSUM = 16
/** Checksum of the trailer's bytes before it. */
export const TRAILER_CHECKSUM = 24
export const TRAILER_MAGIC = 32

/** Where blocks are cut: a batch or record that would make its block larger begins the next one. */
export const BATCH_BLOCK_BYTES_AIM: number = 64 * 1024
export const RUN_BLOCK_BYTES_AIM: number = 4 * 1024
/** The same for a run that is compressed, before compression: small blocks compress badly. */
export const RUN_BLOCK_BYTES_AIM_COMPRESSED: number = 16 * 1024

/**
 * Layout of the commit log: constants only. The prose, diagrams and a worked example are in docs/FORMAT.md, "Commit log"; a test holds the
 * numbers there against these.
 *
 *   commit log := file*                  `commit-<number>.log`, numbers grow; stale or zero bytes fill what is not written yet
 *   file       := frame*                 each frame begins at a multiple of FRAME_ALIGNMENT
 *   frame      := header extensions entry*
 *   entry      := header extensions body
 *
 * All integers are little-endian; u64 values are at most 2^53 - 1, except checksums and tags.
 */

export const FRAME_ALIGNMENT = 512
export const FRAME_MAGIC = 0x4d524656 // 'VFRM'
export const FRAME_VERSION = 1
/** Frame header without extensions. */
export const FRAME_HEADER_BYTES = 72

/** xxh64 of the frame from FRAME_CHECKED_FROM to its end. */
export const FRAME_CHECKSUM = 0
export const FRAME_CHECKED_FROM = 8
export const FRAME_MAGIC_AT = 8
export const FRAME_VERSION_AT = 12
export const FRAME_FLAGS = 13
/** u16: header with extensions; the first entry begins here. */
export const FRAME_HEADER_SIZE = 14
/** u32: header, extensions and entries, without padding. */
export const FRAME_SIZE = 16
export const FRAME_ENTRY_COUNT = 20
/** 8 random bytes, drawn at each opening of the database. */
export const FRAME_TAG = 24
/** u64: position of this frame in the endless log; 0 in a staged frame. */
export const FRAME_LSN = 32
/** u64: everything below this LSN was known to be on the disk when the frame was sealed. */
export const FRAME_DURABLE_LSN = 40
/** Checksum of the frame before, 8 bytes; zeros in the very first frame and in a staged one. */
export const FRAME_PREVIOUS_CHECKSUM = 48
/** u64: commit sequence after the frame; in a staged frame, before it. */
export const FRAME_SEQUENCE = 56
/** u64: wall clock in ms when the frame was sealed. */
export const FRAME_TIME = 64

/** The database was closed cleanly after this frame, which holds no entries; the next opening writes over it. */
export const FRAME_FLAG_CLOSE = 1
/** The only frame of a staging file. */
export const FRAME_FLAG_STAGED = 2
export const FRAME_FLAGS_KNOWN = 3

/** Entry header without extensions. */
export const ENTRY_HEADER_BYTES = 12
export const ENTRY_KIND = 0
export const ENTRY_FLAGS = 1
/** u16: bytes of extension fields between header and body. */
export const ENTRY_EXTENSION_SIZE = 2
export const ENTRY_LOG_ID = 4
/** u32: bytes of the body. */
export const ENTRY_BODY_SIZE = 8

/** Body: one RecordBatch v2. */
export const ENTRY_TOPIC_BATCH = 1
/** Body: one store batch. */
export const ENTRY_STORE_BATCH = 2
/** Body: u64 offset. Records of the log at and above it are void. */
export const ENTRY_TRUNCATE = 3
/** Body: u64 offset. All records of the log are void; it continues at the offset. */
export const ENTRY_RESET = 4
/** Body: u32 number of the staging file, u32 zero, u64 frame bytes, 8 bytes frame checksum. Its entries count as if they stood here. */
export const ENTRY_STAGED = 5
export const ENTRY_STAGED_BODY_BYTES = 24

/** The batch was born here and its checksum field is not filled yet. */
export const ENTRY_FLAG_CHECKSUM_OPEN = 1
/** The batch stood in the log before and was appended again so that its old file could be recycled; it goes to its offset, not to the end. */
export const ENTRY_FLAG_CARRIED = 2
export const ENTRY_FLAGS_KNOWN = 3

/** Largest number of bytes that one frame may have; bounds every length field before memory is reserved for it. */
export const FRAME_BYTES_LIMIT = 0x4000_0000

const digits = (number: number): string => String(number).padStart(10, '0')
const commitName = /^commit-(\d{10,})\.log$/
const stagedName = /^staged-(\d{10,})\.log$/
const spareName = /^spare-(\d{10,})\.log$/

export const commitFileName = (number: number): string => `commit-${digits(number)}.log`
export const stagedFileName = (number: number): string => `staged-${digits(number)}.log`
export const spareFileName = (number: number): string => `spare-${digits(number)}.log`
/** A file that is not complete yet; recovery removes it. */
export const temporaryFileName = (name: string): string => `${name}.tmp`

export type CommitLogFileKind = 'commit' | 'staged' | 'spare'

/** What a file name in the folder means to the commit log; undefined when it is not one of its files. */
export function parseCommitLogName(name: string): { readonly kind: CommitLogFileKind; readonly number: number } | undefined {
  const commit = commitName.exec(name)
  if (commit !== null) return { kind: 'commit', number: Number(commit[1]) }
  const staged = stagedName.exec(name)
  if (staged !== null) return { kind: 'staged', number: Number(staged[1]) }
  const spare = spareName.exec(name)
  if (spare !== null) return { kind: 'spare', number: Number(spare[1]) }
  return undefined
}

export function alignFrame(position: number): number {
  return Math.ceil(position / FRAME_ALIGNMENT) * FRAME_ALIGNMENT
}

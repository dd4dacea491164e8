/**
 * Options of `open`: their meaning, defaults, limits, and the one place where they are resolved into a frozen copy.
 */
import type { Environment } from './env/environment.ts'
import type { Durability } from './log/log.ts'

/** Options of `open`; docs/API.md lists them with their defaults. */
export interface OpenOptions {
  // --- options that change meaning -----------------------------------------------------------------------------------------------------

  /**
   * What an acknowledged write survives unless the write says otherwise. Default 'sync': power loss. 'buffered': the end of the process.
   * 'none': nothing until the next sync.
   */
  readonly durability?: Durability | undefined
  /** Create the folder and the database when there is none. Default true; false gives NOT_A_DATABASE. */
  readonly createIfMissing?: boolean | undefined
  /** Refuse to open an existing database (EXISTS). Default false. */
  readonly errorIfExists?: boolean | undefined

  /**
   * 'disk' (default): the path is a folder. 'memory': everything is in the memory of this process and gone at close; the path is only a name, and
   * may be left out. For tests of applications; there is no reopening, no lease and no backup.
   */
  readonly storage?: 'disk' | 'memory' | undefined

  // --- options that change speed and memory --------------------------------------------------------------------------------------------

  /**
   * 'group' (default): syncs never block the thread; what arrives during one shares the next. 'inline': when nothing else is under way, the write
   * blocks the thread for one disk flush (about 0.1–0.2 ms): lower latency for a single writer, worse for everything else in the process.
   */
  readonly sync?: 'group' | 'inline' | undefined
  /**
   * Size of a commit-log file and of the memory that mirrors it, bytes. Default 32 MiB, or less with a small `tailBytesMax`. Smaller: more, smaller flushes.
   */
  readonly commitLogFileBytes?: number | undefined
  /** Size of the first file of a new database, bytes; files grow by 4 up to `commitLogFileBytes`. Default 256 KiB. */
  readonly commitLogFileBytesFirst?: number | undefined
  /** Largest frame, bytes; larger commits are staged in a file of their own. Default 4 MiB. */
  readonly frameBytesMax?: number | undefined
  /** Largest commit, bytes: TOO_LARGE above, unless it fits into a frame. Default, and at most, 1 GiB less 4 KiB: the largest value that a store can hold. */
  readonly commitBytesMax?: number | undefined
  /** Appended bytes that may wait to be written before appends throw BUSY. Default 64 MiB. */
  readonly pendingBytesMax?: number | undefined
  /**
   * Budget for memory that grows with data, bytes: tails (`tailBytesMax`), what the worker merges with (a quarter, at most 32 MiB), filters, fence keys and indexes
   * of memtables, and the cache of blocks, which gets the rest. Default 512 MiB. Smaller: more reads of files.
   */
  readonly memoryBytesMax?: number | undefined
  /**
   * Memory of commit-log files that wait to be flushed; acknowledgements slow down from a fifth of it, wait for a flush from half of it, BUSY at all of it.
   * Default 256 MiB; with a `memoryBytesMax` below 512 MiB what that has above 256 MiB, or a third of it if that is more.
   */
  readonly tailBytesMax?: number | undefined
  /** Logs of stores with more bytes than this in one flush get a segment file of their own, those of topics from 16 times as many on. Default 1 MiB. */
  readonly ownSegmentBytes?: number | undefined
  /** `close()` flushes the tail to segments when it is larger, bytes; smaller tails are read back at the next opening. Default 4 MiB. */
  readonly closeTailBytesMax?: number | undefined
  /** Merge small segments in the background. Default true. */
  readonly autoConsolidate?: boolean | undefined
  /** How often topics are looked at for what their retention deletes and their compaction cleans, ms. Default 5 min; Infinity: never. */
  readonly retentionCheckMs?: number | undefined

  /**
   * How often entries that have expired are looked for and really deleted, ms. Default 10 000. Larger: indexes, feeds and disk hold them longer; reads hide
   * them at once in any case.
   */
  readonly expirySweepMs?: number | undefined

  /** Where files, time and workers come from. Default: Node. For simulation and tests. */
  readonly environment?: Environment | undefined
}

/** Options with their defaults filled in; frozen. */
export interface ResolvedOptions {
  /** See `OpenOptions.durability`. */
  readonly durability: Durability
  /** See `OpenOptions.createIfMissing`. */
  readonly createIfMissing: boolean
  /** See `OpenOptions.errorIfExists`. */
  readonly errorIfExists: boolean
  /** See `OpenOptions.storage`. */
  readonly storage: 'disk' | 'memory'
  /** See `OpenOptions.sync`. */
  readonly sync: 'group' | 'inline'
  /** See `OpenOptions.commitLogFileBytes`. */
  readonly commitLogFileBytes: number
  /** See `OpenOptions.commitLogFileBytesFirst`. */
  readonly commitLogFileBytesFirst: number
  /** See `OpenOptions.frameBytesMax`. */
  readonly frameBytesMax: number
  /** See `OpenOptions.commitBytesMax`. */
  readonly commitBytesMax: number
  /** See `OpenOptions.pendingBytesMax`. */
  readonly pendingBytesMax: number
  /** See `OpenOptions.memoryBytesMax`. */
  readonly memoryBytesMax: number
  /** See `OpenOptions.tailBytesMax`. */
  readonly tailBytesMax: number
  /** For blocks of runs, and what stores keep beside them: what `memoryBytesMax` leaves. */
  readonly cacheBytesMax: number
  /** See `OpenOptions.ownSegmentBytes`. */
  readonly ownSegmentBytes: number
  /** See `OpenOptions.closeTailBytesMax`. */
  readonly closeTailBytesMax: number
  /** See `OpenOptions.autoConsolidate`. */
  readonly autoConsolidate: boolean
  /** See `OpenOptions.expirySweepMs`. */
  readonly expirySweepMs: number
  /** See `OpenOptions.retentionCheckMs`. */
  readonly retentionCheckMs: number
}

/** See `OpenOptions.expirySweepMs`. */
export const expirySweepMsDefault: number = 10_000
/** Largest delay of a timer. */
const timerMsMax = 2 ** 31 - 1

const KiB = 1024
const MiB = 1024 * KiB

/** Name -> default, smallest and largest allowed value; all in bytes. */
const byteOptions = {
  commitLogFileBytes: [32 * MiB, 16 * KiB, 1024 * MiB],
  commitLogFileBytesFirst: [256 * KiB, 4 * KiB, 1024 * MiB],
  frameBytesMax: [4 * MiB, 4 * KiB, 512 * MiB],
  // A commit of its own has an arena of its own, whose positions memtables keep below 2^30.
  commitBytesMax: [1024 * MiB - 4 * KiB, 4 * KiB, 1024 * MiB - 4 * KiB],
  pendingBytesMax: [64 * MiB, 4 * KiB, 4096 * MiB],
  memoryBytesMax: [512 * MiB, 64 * KiB, 1024 * 1024 * MiB],
  tailBytesMax: [256 * MiB, 32 * KiB, 65536 * MiB],
  ownSegmentBytes: [MiB, 1, 1024 * MiB],
  closeTailBytesMax: [4 * MiB, 0, 65536 * MiB],
} as const

type ByteOption = keyof typeof byteOptions

const otherOptions: readonly string[] = [
  'durability',
  'createIfMissing',
  'errorIfExists',
  'storage',
  'sync',
  'autoConsolidate',
  'expirySweepMs',
  'retentionCheckMs',
  'environment',
]

/** Names of all options of `open`. */
export const openOptionNames: readonly string[] = [...Object.keys(byteOptions), ...otherOptions]

/** Checks every option by name: TypeError for a wrong type or an unknown option, RangeError for a value outside its limits. */
export function resolveOptions(options: OpenOptions): ResolvedOptions {
  if (options === null || typeof options !== 'object') throw new TypeError('options must be an object')
  for (const name of Object.keys(options)) {
    if (!(name in byteOptions) && !otherOptions.includes(name)) throw new TypeError(`unknown option: ${name}`)
  }
  const { environment } = options
  if (environment !== undefined && (environment === null || typeof environment !== 'object')) {
    throw new TypeError(`environment must be an Environment, got ${String(environment)}`)
  }
  if (environment !== undefined && options.storage === 'memory') throw new TypeError("storage 'memory' and environment exclude each other")
  const memoryBytesMax = bytes(options, 'memoryBytesMax')
  // A small budget means small tails, and several files in one of them.
  const tailBytesMax =
    options.tailBytesMax === undefined
      ? Math.min(256 * MiB, Math.max(Math.floor(memoryBytesMax / 3), memoryBytesMax - 256 * MiB))
      : bytes(options, 'tailBytesMax')
  const smallFile = Math.max(256 * KiB, floorPowerOf2(tailBytesMax / 6))
  const workerBytes = Math.min(32 * MiB, memoryBytesMax / 4)
  const commitLogFileBytes = options.commitLogFileBytes === undefined ? Math.min(32 * MiB, smallFile) : bytes(options, 'commitLogFileBytes')
  const resolved: ResolvedOptions = {
    durability: oneOf(options, 'durability', ['sync', 'buffered', 'none'], 'sync'),
    createIfMissing: bool(options, 'createIfMissing', true),
    errorIfExists: bool(options, 'errorIfExists', false),
    storage: oneOf(options, 'storage', ['disk', 'memory'], 'disk'),
    sync: oneOf(options, 'sync', ['group', 'inline'], 'group'),
    commitLogFileBytes,
    commitLogFileBytesFirst: Math.min(bytes(options, 'commitLogFileBytesFirst'), commitLogFileBytes),
    frameBytesMax: bytes(options, 'frameBytesMax'),
    commitBytesMax: bytes(options, 'commitBytesMax'),
    pendingBytesMax: bytes(options, 'pendingBytesMax'),
    memoryBytesMax,
    tailBytesMax,
    cacheBytesMax: Math.max(memoryBytesMax - tailBytesMax - workerBytes, memoryBytesMax / 8),
    ownSegmentBytes: bytes(options, 'ownSegmentBytes'),
    closeTailBytesMax: bytes(options, 'closeTailBytesMax'),
    autoConsolidate: bool(options, 'autoConsolidate', true),
    expirySweepMs: milliseconds(options, 'expirySweepMs', expirySweepMsDefault, timerMsMax),
    retentionCheckMs: milliseconds(options, 'retentionCheckMs', 5 * 60 * 1000, Number.MAX_SAFE_INTEGER),
  }
  if (resolved.frameBytesMax > resolved.commitLogFileBytes) {
    // A frame must fit into a file; a user who makes files small means small frames too.
    return Object.freeze({ ...resolved, frameBytesMax: resolved.commitLogFileBytes })
  }
  return Object.freeze(resolved)
}

function floorPowerOf2(value: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, value)))
}

function bytes(options: OpenOptions, name: ByteOption): number {
  const [fallback, min, max] = byteOptions[name]
  const value: unknown = options[name]
  if (value === undefined) return fallback
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number of bytes, got ${String(value)}`)
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}, got ${value}`)
  }
  return value
}

/** Infinity where there is no bound: never. */
function milliseconds(options: OpenOptions, name: 'expirySweepMs' | 'retentionCheckMs', fallback: number, max: number): number {
  const value: unknown = options[name]
  if (value === undefined) return fallback
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number of milliseconds, got ${String(value)}`)
  const isNever = name === 'retentionCheckMs' && value === Number.POSITIVE_INFINITY
  if (!isNever && !(Number.isSafeInteger(value) && value >= 1 && value <= max))
    throw new RangeError(`${name} must be an integer from 1 to ${max}, got ${value}`)
  return value
}

function bool(options: OpenOptions, name: 'createIfMissing' | 'errorIfExists' | 'autoConsolidate', fallback: boolean): boolean {
  const value: unknown = options[name]
  if (value === undefined) return fallback
  if (typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, got ${String(value)}`)
  return value
}

function oneOf<T extends string>(options: OpenOptions, name: 'durability' | 'storage' | 'sync', allowed: readonly T[], fallback: T): T {
  const value: unknown = options[name]
  if (value === undefined) return fallback
  if (typeof value !== 'string' || !allowed.includes(value as T)) {
    throw new TypeError(`${name} must be ${allowed.map(word => `'${word}'`).join(' or ')}, got ${String(value)}`)
  }
  return value as T
}

/** Options of a producer: what `db.producer(options)` and `topic.producer(options)` take. */

/** Options of `Database.producer` and `Topic.producer`. */
export interface ProducerOptions {
  // --- changes meaning -----------------------------------------------------------------------------------------------------------------
  /**
   * A name of its own, 1 to 200 characters. Opening the name again, here or after a restart, fences the one before (PRODUCER_FENCED); its records carry growing sequences, what
   * was sent before is recognised, and `lastSequence` tells where to go on. Default: no name.
   */
  readonly id?: string | undefined
  /** Makes a producer of transactions (Kafka's `transactional.id`), 1 to 200 characters: records are sent within `begin()` and `commit()`. Default: none. */
  readonly transactionalId?: string | undefined
  /** A transaction that takes longer is aborted, milliseconds, at most 15 min. Default 60,000. */
  readonly transactionTimeoutMs?: number | undefined
  /** Gives batches a producer id, epoch and sequence, so that a batch that is sent again (`appendBatch`) is recognised. Default: true with a name, else false. */
  readonly idempotent?: boolean | undefined
  /** The identity of an earlier idempotent producer without a name, to go on with its batches. Default: a new one. */
  readonly identity?: { readonly id: number; readonly epoch: number } | undefined
  // --- changes speed -------------------------------------------------------------------------------------------------------------------
  /** How long records are gathered before they are appended, milliseconds. Default 0: to the end of the turn. */
  readonly lingerMs?: number | undefined
  /** Bytes of keys and values after which a partition's batch is appended at once. Default 1 MiB. */
  readonly batchBytes?: number | undefined
  /** Commits that wait for the disk at one time; further records gather meanwhile. Default 64. */
  readonly inFlightMax?: number | undefined
  /** Bytes of keys and values that may be gathered or wait for the disk; above it `send` rejects with BUSY. Default 64 MiB. */
  readonly bufferedBytesMax?: number | undefined
}

/** With all defaults filled in. */
export interface ResolvedProducerOptions {
  readonly id: string | undefined
  readonly transactionalId: string | undefined
  readonly transactionTimeoutMs: number
  readonly idempotent: boolean
  readonly identity: { readonly id: number; readonly epoch: number } | undefined
  readonly lingerMs: number
  readonly batchBytes: number
  readonly inFlightMax: number
  readonly bufferedBytesMax: number
}

const MiB = 1024 * 1024
/** Kafka's `transaction.max.timeout.ms`. */
export const transactionTimeoutMsMax: number = 15 * 60 * 1000
const nameSizeMax = 200
const optionNames: ReadonlySet<string> = new Set([
  'id',
  'transactionalId',
  'transactionTimeoutMs',
  'idempotent',
  'identity',
  'lingerMs',
  'batchBytes',
  'inFlightMax',
  'bufferedBytesMax',
])

/** TypeError or RangeError naming the first option that is unusable. */
export function resolveProducerOptions(options: ProducerOptions = {}): ResolvedProducerOptions {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options must be an object, got ${String(options)}`)
  for (const name of Object.keys(options)) if (!optionNames.has(name)) throw new TypeError(`unknown option of a producer: ${name}`)
  const { id, transactionalId, idempotent, identity } = options
  checkName(id, 'id')
  checkName(transactionalId, 'transactionalId')
  if (id !== undefined && transactionalId !== undefined) throw new TypeError('id and transactionalId exclude each other')
  if (idempotent !== undefined && typeof idempotent !== 'boolean')
    throw new TypeError(`idempotent must be true or false, got ${String(idempotent)}`)
  const isNamed = id !== undefined || transactionalId !== undefined
  if (isNamed && idempotent === false) throw new TypeError('idempotent must not be false with an id or a transactionalId')
  if (identity !== undefined) {
    if (isNamed) throw new TypeError('identity excludes id and transactionalId, which have identities of their own')
    if (!isIdentity(identity)) throw new RangeError('identity must have an id >= 0 and an epoch from 0 to 32767')
  }
  return {
    id,
    transactionalId,
    transactionTimeoutMs: number(options.transactionTimeoutMs, 'transactionTimeoutMs', 60_000, 1, transactionTimeoutMsMax),
    idempotent: idempotent ?? (isNamed || identity !== undefined),
    identity,
    lingerMs: number(options.lingerMs, 'lingerMs', 0, 0, transactionTimeoutMsMax),
    batchBytes: number(options.batchBytes, 'batchBytes', MiB, 1, 16 * MiB),
    inFlightMax: number(options.inFlightMax, 'inFlightMax', 64, 1, 1_000_000),
    bufferedBytesMax: number(options.bufferedBytesMax, 'bufferedBytesMax', 64 * MiB, 1, 256 * MiB),
  }
}

function checkName(name: unknown, option: string): void {
  if (name !== undefined && !(typeof name === 'string' && name.length > 0 && name.length <= nameSizeMax))
    throw new TypeError(`${option} must be a string of 1 to ${nameSizeMax} characters, got ${String(name)}`)
}

function isIdentity(value: unknown): boolean {
  const { id, epoch } = (value ?? {}) as { id?: unknown; epoch?: unknown }
  return Number.isSafeInteger(id) && (id as number) >= 0 && Number.isInteger(epoch) && (epoch as number) >= 0 && (epoch as number) < 0x8000
}

function number(value: unknown, option: string, byDefault: number, min: number, max: number): number {
  if (value === undefined) return byDefault
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw new RangeError(`${option} must be a number from ${min} to ${max}, got ${String(value)}`)
}

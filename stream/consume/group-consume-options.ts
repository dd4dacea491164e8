/** Options of `topic.consume({ group })` and `db.consumer({ group })`, resolved once. */
import { checkExpired, type ExpiredRecords } from '../fetch/expiry.ts'
import { checkGathering } from '../fetch/gathering.ts'
import type { Isolation } from '../fetch/partition-fetcher.ts'
import { type AssignorName, isAssignorName } from '../groups/assignors.ts'
import { checkInteger } from '../groups/group-options.ts'
import type { TopicPartition } from '../groups/group-transport.ts'

/** Where to begin when the group has not committed an offset for a partition, or one that is not there any more. */
export type AutoOffsetReset = 'earliest' | 'latest' | 'none' | { readonly time: number }

/** Told of partitions that come or go; awaited before anything else is handed out. */
export type PartitionsListener = (partitions: readonly TopicPartition[]) => void | Promise<void>

/** How a consumer of a group reads. */
export interface GroupConsumeOptions {
  // --- changes meaning -----------------------------------------------------------------------------------------------------------------
  /** Consumers of one group share the partitions; each group gets all records. */
  readonly group: string
  /**
   * Reads these partitions of each topic, without being a member of the group (Kafka's `assign`): begins where the group stands and commits for it, but nobody shares,
   * nothing moves, and a commit while the group has members is GROUP_NOT_EMPTY. Not with `instanceId`, `assignor` or a pattern.
   */
  readonly partitions?: readonly number[] | undefined
  /** A name for people. Default 'consumer'. */
  readonly clientId?: string | undefined
  /**
   * Makes the consumer a static member: when it comes back under this id within its session timeout, it gets its partitions back without a rebalance.
   * Unique in the group.
   */
  readonly instanceId?: string | undefined
  /** How partitions are shared; of a list the group takes one that all its members name. Default 'cooperative-sticky'. */
  readonly assignor?: AssignorName | readonly AssignorName[] | undefined
  /** Default 'earliest' (Kafka's is 'latest'). 'none': NO_OFFSET. `{ time }`: the first record at or after it, ms since 1970. */
  readonly autoOffsetReset?: AutoOffsetReset | undefined
  /**
   * Commits what was processed by itself, so often and when partitions are given up: `true` is every 5 s (Kafka's default), `{ intervalMs }` says how often.
   * A batch is processed when the next is asked for; a record too. Default false: `batch.commit()`.
   */
  readonly autoCommit?: boolean | { readonly intervalMs: number } | undefined
  /** 'read_committed' (default): nothing of open or aborted transactions. */
  readonly isolation?: Isolation | undefined
  /** Records whose `ttlMs` or `expiresAt` is over: 'skip' (default) or 'include'. Of `raw()` all. */
  readonly expired?: ExpiredRecords | undefined
  /** Called with partitions that this consumer now has, before their first record; a place for `seek`. */
  readonly onAssigned?: PartitionsListener | undefined
  /** Called with partitions that it gives up, while it may still commit them. */
  readonly onRevoked?: PartitionsListener | undefined
  /** Called with partitions that the group has taken from it: others may have them already, and nothing of them can be committed. Default: `onRevoked`. */
  readonly onLost?: PartitionsListener | undefined
  /** Ends the loop, without an error, and leaves the group. */
  readonly signal?: AbortSignal | undefined

  // --- changes speed, and how soon a dead consumer is noticed ----------------------------------------------------------------------------
  /** Records of one batch at most. Default 10,000. Fewer come where so many would hold the thread for more than about a millisecond. */
  readonly maxRecords?: number | undefined
  /** Bytes of one read of a partition, in whole stored batches. Default 1 MiB. */
  readonly maxBytes?: number | undefined
  /** Waits until so many stored bytes can be read over all partitions, or `maxWaitMs` is over (Kafka's `fetch.min.bytes`). Default 1: hands out at once. */
  readonly minBytes?: number | undefined
  /** How long records wait for `minBytes`, ms (Kafka's `fetch.max.wait.ms`). Default 500. */
  readonly maxWaitMs?: number | undefined
  /** A consumer that was not heard of for so long is removed, ms. Default 45,000. */
  readonly sessionTimeoutMs?: number | undefined
  /** How often it is heard of, ms; less than both timeouts. Default 5,000, or a third of the smaller timeout if that is less. */
  readonly heartbeatIntervalMs?: number | undefined
  /** A consumer that does not ask for more within this time, ms, is removed: a batch must be processed in less. Default 300,000. */
  readonly maxPollIntervalMs?: number | undefined
}

const names: ReadonlySet<string> = new Set([
  ...[
    'group',
    'partitions',
    'clientId',
    'instanceId',
    'assignor',
    'autoOffsetReset',
    'autoCommit',
    'isolation',
    'expired',
    'onAssigned',
    'onRevoked',
    'onLost',
    'signal',
  ],
  ...['maxRecords', 'maxBytes', 'minBytes', 'maxWaitMs', 'sessionTimeoutMs', 'heartbeatIntervalMs', 'maxPollIntervalMs'],
])

/** With defaults filled in. */
export interface ResolvedGroupConsume {
  readonly group: string
  /** undefined: a member, which gets its partitions from the group. */
  readonly partitions: readonly number[] | undefined
  readonly clientId: string
  readonly instanceId: string | undefined
  readonly assignors: readonly AssignorName[]
  readonly autoOffsetReset: AutoOffsetReset
  /** undefined: never. */
  readonly autoCommitMs: number | undefined
  readonly isolation: Isolation
  readonly expired: ExpiredRecords
  /** A position that is not there any more is an error, whatever `autoOffsetReset` says. */
  readonly neverSkips: boolean
  readonly onAssigned: PartitionsListener | undefined
  readonly onRevoked: PartitionsListener | undefined
  readonly onLost: PartitionsListener | undefined
  readonly signal: AbortSignal | undefined
  readonly maxRecords: number
  readonly maxBytes: number
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly maxPollIntervalMs: number
}

/** TypeError or RangeError naming the first option that is unusable. */
export function resolveGroupConsume(options: GroupConsumeOptions): ResolvedGroupConsume {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options must be an object, got ${String(options)}`)
  for (const name of Object.keys(options)) if (!names.has(name)) throw new TypeError(`unknown option of a consumer with a group: ${name}`)
  const {
    group,
    clientId = 'consumer',
    instanceId,
    assignor = 'cooperative-sticky',
    autoOffsetReset = 'earliest',
    autoCommit = false,
  } = options
  const { isolation = 'read_committed', expired = 'skip', onAssigned, onRevoked, onLost = onRevoked, signal } = options
  const { maxRecords = 10_000, maxBytes = 1024 * 1024, minBytes = 1, maxWaitMs = 500 } = options
  checkGathering(options)
  const { sessionTimeoutMs = 45_000, maxPollIntervalMs = 300_000 } = options
  const { heartbeatIntervalMs = Math.min(5000, Math.ceil(Math.min(sessionTimeoutMs, maxPollIntervalMs) / 3)) } = options
  if (typeof group !== 'string' || group === '') throw new TypeError(`group must be a non-empty string, got ${String(group)}`)
  const partitions = options.partitions === undefined ? undefined : checkPartitions(options)
  if (typeof clientId !== 'string') throw new TypeError(`clientId must be a string, got ${String(clientId)}`)
  if (instanceId !== undefined && (typeof instanceId !== 'string' || instanceId === ''))
    throw new TypeError(`instanceId must be a non-empty string, got ${String(instanceId)}`)
  const assignors = typeof assignor === 'string' ? [assignor] : [...assignor]
  if (assignors.length === 0 || !assignors.every(isAssignorName))
    throw new TypeError(`assignor must be 'range', 'round-robin', 'sticky' or 'cooperative-sticky', got ${String(assignor)}`)
  checkReset(autoOffsetReset)
  const autoCommitMs = autoCommit === true ? 5000 : autoCommit === false ? undefined : autoCommit.intervalMs
  if (autoCommitMs !== undefined) checkInteger('autoCommit.intervalMs', autoCommitMs, 0)
  if (isolation !== 'read_committed' && isolation !== 'read_uncommitted')
    throw new TypeError(`isolation must be 'read_committed' or 'read_uncommitted', got ${String(isolation)}`)
  checkExpired(expired)
  for (const [name, listener] of Object.entries({ onAssigned, onRevoked, onLost }))
    if (listener !== undefined && typeof listener !== 'function') throw new TypeError(`${name} must be a function, got ${String(listener)}`)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError(`signal must be an AbortSignal, got ${String(signal)}`)
  for (const [name, value] of Object.entries({ maxRecords, maxBytes }))
    if (!(Number.isSafeInteger(value) && value > 0)) throw new RangeError(`${name} must be a positive integer, got ${String(value)}`)
  for (const [name, value] of Object.entries({ sessionTimeoutMs, maxPollIntervalMs, heartbeatIntervalMs })) checkInteger(name, value, 1)
  // Heartbeats tell that somebody waits for records, too.
  for (const [name, value] of Object.entries({ sessionTimeoutMs, maxPollIntervalMs }))
    if (heartbeatIntervalMs >= value)
      throw new RangeError(`heartbeatIntervalMs must be less than ${name} (${value}), got ${heartbeatIntervalMs}`)
  return Object.freeze({
    ...{
      group,
      partitions,
      clientId,
      instanceId,
      assignors,
      autoOffsetReset,
      autoCommitMs,
      isolation,
      expired,
      neverSkips: false,
      onAssigned,
      onRevoked,
      onLost,
      signal,
    },
    ...{ maxRecords, maxBytes, minBytes, maxWaitMs, sessionTimeoutMs, heartbeatIntervalMs, maxPollIntervalMs },
  })
}

/** TypeError for partitions of topics that are subscribed by a pattern. */
export function assertNoPartitions({ partitions }: ResolvedGroupConsume): void {
  if (partitions !== undefined) throw new TypeError('partitions are of topics by name: they cannot be given with a pattern')
}

/** Ascending, each once. */
function checkPartitions({ partitions, instanceId, assignor }: GroupConsumeOptions): readonly number[] {
  if (!Array.isArray(partitions) || partitions.length === 0)
    throw new TypeError(`partitions must be a non-empty array of numbers, got ${String(partitions)}`)
  for (const partition of partitions as readonly unknown[])
    if (!Number.isSafeInteger(partition) || (partition as number) < 0)
      throw new RangeError(`partitions must hold numbers of partitions, got ${String(partition)}`)
  for (const [name, value] of Object.entries({ instanceId, assignor }))
    if (value !== undefined) throw new TypeError(`${name} is of members of a group: it cannot be given with partitions`)
  return [...new Set(partitions as readonly number[])].sort((a, b) => a - b)
}

function checkReset(reset: AutoOffsetReset): void {
  if (reset === 'earliest' || reset === 'latest' || reset === 'none') return
  const time = typeof reset === 'object' && reset !== null ? reset.time : undefined
  if (typeof time !== 'number' || !(time >= 0))
    throw new TypeError(`autoOffsetReset must be 'earliest', 'latest', 'none' or { time }, got ${JSON.stringify(reset) ?? String(reset)}`)
}

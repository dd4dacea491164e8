/** Options of a queue, checked and filled in. */
import type { Topic } from '../topic/topic.ts'

/** Options of `Topic.queue`. All but `group` and `signal` are shared by the queues of one group in this process: later ones leave them out, or give the same. */
export interface QueueOptions<V = unknown, K = unknown> {
  /** Queues that name the same group share the records; each group gets all. Not related to consumer groups of this name. */
  readonly group: string
  /** How long a delivered record is kept from others, ms: one that is not settled by then is delivered again. Default 30,000. */
  readonly lockMs?: number | undefined
  /** Deliveries after which a record that was not acknowledged is given up. Default 5. */
  readonly deliveriesMax?: number | undefined
  /** Where records go that are given up, as they are and with headers that say whence and why. Default: nowhere, they are dropped. */
  readonly deadLetter?: Topic<V, K> | undefined
  /** What becomes of records whose `ttlMs` or `expiresAt` is over: 'drop' (default), or 'dead-letter' with the error `expired`. */
  readonly expired?: 'drop' | 'dead-letter' | undefined
  /** Records of one partition that may be delivered and not settled at a time. Too few starve consumers. Default 200. */
  readonly inFlightMax?: number | undefined
  /** Closes the queue. */
  readonly signal?: AbortSignal | undefined
}

/** What the queues of one group share. */
export interface QueueSettings {
  readonly lockMs: number
  readonly deliveriesMax: number
  readonly inFlightMax: number
  readonly expired: 'drop' | 'dead-letter'
  readonly deadLetter: Topic<never, never> | undefined
}

const defaults: QueueSettings = Object.freeze({
  lockMs: 30_000,
  deliveriesMax: 5,
  inFlightMax: 200,
  expired: 'drop',
  deadLetter: undefined,
})
const optionNames: ReadonlySet<string> = new Set(['group', 'lockMs', 'deliveriesMax', 'deadLetter', 'inFlightMax', 'expired', 'signal'])
const groupBytesMax = 1000

/** TypeError, RangeError naming the option. */
export function checkQueueOptions(options: unknown): asserts options is QueueOptions {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options must be an object, got ${String(options)}`)
  for (const name of Object.keys(options)) if (!optionNames.has(name)) throw new TypeError(`unknown option of queue: ${name}`)
  const { group, lockMs, deliveriesMax, inFlightMax, signal } = options as QueueOptions
  if (typeof group !== 'string' || group === '' || Buffer.byteLength(group) > groupBytesMax)
    throw new TypeError(`group must be a text of 1 to ${groupBytesMax} bytes, got ${String(group)}`)
  for (const [name, value] of Object.entries({ lockMs, deliveriesMax, inFlightMax })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
      throw new RangeError(`${name} must be a positive integer, got ${String(value)}`)
  }
  const { expired } = options as QueueOptions
  if (expired !== undefined && expired !== 'drop' && expired !== 'dead-letter')
    throw new TypeError(`expired must be 'drop' or 'dead-letter', got ${String(expired)}`)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError(`signal must be an AbortSignal, got ${String(signal)}`)
}

/** The settings with what these options say. `known`: of queues that are open, with which they must agree: TypeError. */
export function resolveQueueSettings(options: QueueOptions, known: QueueSettings | undefined): QueueSettings {
  const { lockMs, deliveriesMax, inFlightMax, expired, deadLetter } = options
  const given = { lockMs, deliveriesMax, inFlightMax, expired, deadLetter: deadLetter as unknown as Topic<never, never> | undefined }
  const resolved: Record<string, unknown> = { ...(known ?? defaults) }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (known !== undefined && !isSame(resolved[name], value))
      throw new TypeError(`${name} must be that of the group's open queues: leave it out, or close them first`)
    resolved[name] = value
  }
  if (resolved.expired === 'dead-letter' && resolved.deadLetter === undefined)
    throw new TypeError("expired: 'dead-letter' needs the option deadLetter")
  return resolved as unknown as QueueSettings
}

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  return typeof a === 'object' && typeof b === 'object' && a !== null && b !== null && (a as Topic).name === (b as Topic).name
}

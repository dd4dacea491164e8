/**
 * Headers that queues read and write; docs/TOPICS.md lists them. All are text.
 *
 * `varve.deliver-at` is of the record; those that begin with `varve.dead-letter.` say of a dead-letter record where it came from and why.
 */
import { EXPIRES_AT_HEADER, type RecordHeader } from '../../engine/index.ts'
import type { ConsumedRecord } from '../fetch/consumed-record.ts'
import type { Outgoing } from '../produce/outgoing.ts'

/** When queues may deliver the record, milliseconds since 1970 in decimal digits. */
export const DELIVER_AT_HEADER = 'varve.deliver-at'
/** What the names of a dead-letter record's headers begin with. */
export const DEAD_LETTER_PREFIX = 'varve.dead-letter.'

const encoder = new TextEncoder()

/** The header for what the sender asks; undefined for nothing. RangeError, TypeError. */
export function deliveryHeader({ delayMs, deliverAt }: Outgoing, now: number): RecordHeader | undefined {
  if (delayMs === undefined && deliverAt === undefined) return undefined
  if (delayMs !== undefined && deliverAt !== undefined) throw new TypeError('delayMs and deliverAt must not both be given')
  const [name, given, at] = delayMs !== undefined ? ['delayMs', delayMs, now + delayMs] : ['deliverAt', deliverAt, deliverAt as number]
  if (!Number.isSafeInteger(given) || (given as number) < 0 || !Number.isSafeInteger(at))
    throw new RangeError(`${name} must be a non-negative integer of milliseconds, got ${String(given)}`)
  return { key: DELIVER_AT_HEADER, value: encoder.encode(String(at)) }
}

/** When queues may deliver the record; undefined: at once, as for a header that is not a time. */
export function deliverAtOf(record: ConsumedRecord): number | undefined {
  if (record.headers.length === 0) return undefined
  const text = record.header(DELIVER_AT_HEADER)
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Where a record comes from that is given up. */
export interface DeadLetterOrigin {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly group: string
  readonly deliveries: number
  /** Why; '' when nobody said. */
  readonly error: string
}

/** The headers of a dead-letter record: the record's own without its times, and where it comes from. Those of an earlier death are replaced. */
export function deadLetterHeaders(own: readonly RecordHeader[], origin: DeadLetterOrigin): RecordHeader[] {
  const kept = own.filter(({ key }) => !key.startsWith(DEAD_LETTER_PREFIX) && key !== DELIVER_AT_HEADER && key !== EXPIRES_AT_HEADER)
  const { topic, partition, offset, group, deliveries, error } = origin
  const added = Object.entries({ topic, partition, offset, group, deliveries, error })
  return [...kept, ...added.map(([name, value]) => ({ key: DEAD_LETTER_PREFIX + name, value: encoder.encode(String(value)) }))]
}

/**
 * Expiry of single records: `ttlMs` and `expiresAt` of what is sent become a header, and whoever hands records out leaves out those whose time has come. The
 * log keeps them, as it keeps everything, until retention or compaction takes them.
 */
import { EXPIRES_AT_HEADER, type RecordHeader } from '../../engine/index.ts'
import type { Outgoing } from '../produce/outgoing.ts'

/** Whether readers hand out expired records. */
export type ExpiredRecords = 'skip' | 'include'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const digits = /^\d{1,15}$/

/** The header for what the sender asks; undefined for nothing. RangeError, TypeError. */
export function expiryHeader({ ttlMs, expiresAt }: Outgoing, now: number): RecordHeader | undefined {
  if (ttlMs === undefined && expiresAt === undefined) return undefined
  if (ttlMs !== undefined && expiresAt !== undefined) throw new TypeError('ttlMs and expiresAt must not both be given')
  const [name, given, at] = ttlMs !== undefined ? ['ttlMs', ttlMs, now + ttlMs] : ['expiresAt', expiresAt, expiresAt as number]
  if (!Number.isSafeInteger(given) || (given as number) < 0 || !Number.isSafeInteger(at))
    throw new RangeError(`${name} must be a non-negative integer of milliseconds, got ${String(given)}`)
  return { key: EXPIRES_AT_HEADER, value: encoder.encode(String(at)) }
}

/** When the record with these headers expires; undefined: never, as for a header that is not a time. */
export function expiresAtOf(headers: readonly RecordHeader[]): number | undefined {
  for (const { key, value } of headers) {
    if (key !== EXPIRES_AT_HEADER || value === null) continue
    const text = decoder.decode(value)
    return digits.test(text) ? Number(text) : undefined
  }
  return undefined
}

/** Whether the time of a record with these headers has come. */
export function isExpired(headers: readonly RecordHeader[], now: number): boolean {
  return headers.length > 0 && (expiresAtOf(headers) ?? Number.POSITIVE_INFINITY) <= now
}

/** TypeError for what is no choice. */
export function checkExpired(expired: unknown): void {
  if (expired !== undefined && expired !== 'skip' && expired !== 'include')
    throw new TypeError(`expired must be 'skip' or 'include', got ${String(expired)}`)
}

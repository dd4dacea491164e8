/**
 * The store's options `changes` and `history`, and the arguments of their verbs: checked by name, and what is stored of them.
 *
 * `changes` is fixed when the store is defined (its log keeps a body or does not); its retention, and `history` altogether, may change at any opening.
 */
import { VarveError } from '../errors.ts'
import { checkNames, checkObject, checkOffset } from '../log/check-arguments.ts'
import type { ChangesFrom, ChangesReadOptions } from './changes.ts'

/** How long the change feed keeps changes; both bounds hold, without any it keeps them for ever. */
export interface ChangesOptions {
  /** Changes older than this are trimmed, ms. */
  readonly retentionMs?: number | undefined
  /** The oldest changes are trimmed while what stays has at least this many bytes. */
  readonly retentionBytes?: number | undefined
}

/** How long superseded and deleted versions stay readable by `Store.asOf`. */
export interface HistoryOptions {
  /** Ms. */
  readonly retentionMs: number
}

/** As they are stored. */
export interface StoredChanges {
  readonly retentionMs?: number
  readonly retentionBytes?: number
}

/** As they are stored. */
export interface StoredHistory {
  readonly retentionMs: number
}

const changesOptionNames: ReadonlySet<string> = new Set(['retentionMs', 'retentionBytes'])
const historyOptionNames: ReadonlySet<string> = new Set(['retentionMs'])
const readOptionNames: ReadonlySet<string> = new Set(['from', 'signal', 'batchRecordsMax'])
const limitOptionNames: ReadonlySet<string> = new Set(['limit'])
const timeNames: ReadonlySet<string> = new Set(['time'])

export function checkFeatureOptions(changes: unknown, history: unknown): void {
  if (changes !== undefined && typeof changes !== 'boolean') {
    checkObject(changes, 'changes')
    checkNames(changes as object, changesOptionNames)
    const { retentionMs, retentionBytes } = changes as ChangesOptions
    if (retentionMs !== undefined) checkPositive(retentionMs, 'changes.retentionMs')
    if (retentionBytes !== undefined) checkPositive(retentionBytes, 'changes.retentionBytes')
  }
  if (history === undefined || history === false) return
  checkObject(history, 'history')
  checkNames(history as object, historyOptionNames)
  checkPositive((history as HistoryOptions).retentionMs, 'history.retentionMs')
}

/** What is stored of `changes`; undefined: the store has no feed. */
export function storedChanges(changes: boolean | ChangesOptions | undefined): StoredChanges | undefined {
  if (changes === undefined || changes === false) return undefined
  if (changes === true) return {}
  const { retentionMs, retentionBytes } = changes
  return { ...(retentionMs === undefined ? {} : { retentionMs }), ...(retentionBytes === undefined ? {} : { retentionBytes }) }
}

/** DEFINITION_MISMATCH when a store that was defined without a feed is asked for one, or the other way round. */
export function checkSameChanges(name: string, hasBody: boolean, wanted: boolean | ChangesOptions | undefined): void {
  if (wanted === undefined || (wanted !== false) === hasBody) return
  const details = { option: 'changes', expected: hasBody, actual: !hasBody }
  const how = hasBody ? 'with' : 'without'
  throw new VarveError('DEFINITION_MISMATCH', `store ${name} was defined ${how} the option changes, which cannot be changed`, { details })
}

export function checkChangesReadOptions(options: ChangesReadOptions): void {
  checkObject(options, 'options')
  checkNames(options, readOptionNames)
  const { from, signal, batchRecordsMax } = options
  if (from !== undefined) checkFrom(from)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError(`signal must be an AbortSignal, got ${String(signal)}`)
  if (batchRecordsMax !== undefined) checkCount(batchRecordsMax, 'batchRecordsMax')
}

export function checkReadChanges(position: number, options: { readonly limit?: number | undefined }): void {
  checkOffset(position, 'position')
  checkObject(options, 'options')
  checkNames(options, limitOptionNames)
  if (options.limit !== undefined) checkCount(options.limit, 'limit')
}

/** An argument of `asOf`. */
export function checkMoment(moment: number | { readonly time: number }): void {
  if (typeof moment === 'number') {
    checkOffset(moment, 'sequence')
    return
  }
  checkTime(moment, 'moment')
}

function checkFrom(from: ChangesFrom): void {
  if (from === 'start' || from === 'end') return
  if (typeof from === 'number') checkOffset(from, 'from')
  else if (typeof from === 'object') checkTime(from, 'from')
  else throw new TypeError(`from must be 'start', 'end', a position or { time }, got ${String(from)}`)
}

function checkTime(value: { readonly time: number }, name: string): void {
  checkObject(value, name)
  checkNames(value, timeNames)
  if (!Number.isFinite(value.time)) throw new RangeError(`time must be a number of milliseconds, got ${String(value.time)}`)
}

function checkPositive(value: unknown, name: string): void {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0)
    throw new RangeError(`${name} must be positive, got ${String(value)}`)
}

function checkCount(value: unknown, name: string): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw new RangeError(`${name} must be a positive integer, got ${String(value)}`)
}

/** Checks of arguments that several public calls share: TypeError or RangeError whose message names the argument. */
import type { ReadOptions, WaitOptions } from './log.ts'

const bounds: readonly unknown[] = ['end', 'durable', 'highWatermark']

export function checkObject(value: unknown, name: string): void {
  if (value === null || typeof value !== 'object') throw new TypeError(`${name} must be an object, got ${String(value)}`)
}

/** The options of a call that has only these: TypeError for others, and for what is no object. `of` is the call, as the message names it. */
export function checkOptions(options: unknown, of: string, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options of ${of} must be an object, got ${String(options)}`)
  for (const name of Object.keys(options)) if (!names.includes(name)) throw new TypeError(`unknown option of ${of}: ${name}`)
}

/** A misspelt option must not be a silent default. */
export function checkNames(options: object, known: ReadonlySet<string>): void {
  for (const name in options) if (!known.has(name)) throw new TypeError(`unknown option: ${name}`)
}

export function checkString(value: unknown, name: string): void {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, got ${String(value)}`)
}

export function checkBoolean(value: unknown, name: string): void {
  if (value !== undefined && typeof value !== 'boolean') throw new TypeError(`${name} must be true or false, got ${String(value)}`)
}

export function checkOffset(value: unknown, name: string = 'offset'): void {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new RangeError(`${name} must be a non-negative integer, got ${String(value)}`)
}

export function checkBound(bound: unknown): void {
  if (bound !== undefined && !bounds.includes(bound)) {
    throw new TypeError(`bound must be 'end', 'durable' or 'highWatermark', got ${String(bound)}`)
  }
}

const readOptionNames: ReadonlySet<string> = new Set(['bound', 'bytesMax', 'into', 'fillChecksums'])
const waitOptionNames: ReadonlySet<string> = new Set(['bound', 'signal'])

export function checkReadOptions(options: ReadOptions): void {
  checkObject(options, 'options')
  checkNames(options, readOptionNames)
  checkBound(options.bound)
  const { bytesMax } = options
  if (bytesMax !== undefined && (typeof bytesMax !== 'number' || !(bytesMax > 0))) {
    throw new RangeError(`bytesMax must be positive, got ${String(bytesMax)}`)
  }
  const { into } = options
  if (into !== undefined && !(into instanceof Uint8Array)) throw new TypeError(`into must be a Uint8Array, got ${String(into)}`)
  checkBoolean(options.fillChecksums, 'fillChecksums')
}

export function checkWaitOptions(options: WaitOptions): void {
  checkObject(options, 'options')
  checkNames(options, waitOptionNames)
  checkBound(options.bound)
  const { signal } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError(`signal must be an AbortSignal, got ${String(signal)}`)
}

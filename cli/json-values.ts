/**
 * Keys and values as JSON and back, without loss. What JSON lacks is an object with one name that begins with `$`:
 *
 *   {"$date":"2026-01-02T00:00:00.000Z"}   {"$bigint":"123"}   {"$bytes":"00ff"} (hex)   {"$number":"NaN"}   {"$undefined":true}
 *   {"$map":[[key,value],…]}   {"$set":[…]}   {"$array":["Float64Array","hex"]}   {"$regexp":["source","flags"]}   {"$error":["name","message"]}
 *
 * An object of the user's that looks like one of these is written as {"$literal":…}. docs/CLI.md tells users; `import`, `export` and the verbs that
 * print or take entries use it.
 */
import { InputError } from './input-error.ts'

const typedArrays: { readonly [name: string]: new (buffer: ArrayBuffer) => ArrayBufferView } = {
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
}

/** What `JSON.stringify` writes without loss. */
export function toJson(value: unknown): unknown {
  switch (typeof value) {
    case 'number':
      if (Number.isFinite(value) && !Object.is(value, -0)) return value
      return { $number: Object.is(value, -0) ? '-0' : String(value) }
    case 'bigint':
      return { $bigint: String(value) }
    case 'undefined':
      return { $undefined: true }
    case 'object':
      return value === null ? null : objectToJson(value)
    default:
      return value
  }
}

function objectToJson(value: object): unknown {
  if (Array.isArray(value)) return value.map(toJson)
  if (value instanceof Uint8Array) return { $bytes: hexOf(value) }
  if (value instanceof Date) return { $date: Number.isNaN(value.getTime()) ? null : value.toISOString() }
  if (value instanceof Map) return { $map: [...value].map(([key, inner]) => [toJson(key), toJson(inner)]) }
  if (value instanceof Set) return { $set: [...value].map(toJson) }
  if (value instanceof RegExp) return { $regexp: [value.source, value.flags] }
  if (value instanceof Error) return { $error: [value.name, value.message] }
  if (ArrayBuffer.isView(value)) return { $array: [value.constructor.name, hexOf(value)] }
  const names = Object.keys(value)
  const plain = Object.fromEntries(names.map(name => [name, toJson((value as Record<string, unknown>)[name])]))
  return names.length === 1 && names[0]?.startsWith('$') ? { $literal: plain } : plain
}

function hexOf({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString('hex')
}

/** The inverse of `toJson`. InputError for a form with `$` that is not one of its. */
export function fromJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(fromJson)
  const names = Object.keys(value)
  const only = names.length === 1 ? (names[0] as string) : ''
  if (only.startsWith('$')) return special(only, (value as Record<string, unknown>)[only])
  return objectFromJson(value)
}

function objectFromJson(value: object): unknown {
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fromJson(inner)]))
}

function special(form: string, inner: unknown): unknown {
  const refuse = (): never => {
    throw new InputError(
      `${JSON.stringify({ [form]: inner }).slice(0, 100)} is no value; an object with this name is written {"$literal":…}`,
    )
  }
  switch (form) {
    case '$literal':
      return typeof inner === 'object' && inner !== null ? objectFromJson(inner) : refuse()
    case '$date': {
      const date = new Date(inner === null ? Number.NaN : typeof inner === 'string' || typeof inner === 'number' ? inner : refuse())
      return inner !== null && Number.isNaN(date.getTime()) ? refuse() : date
    }
    case '$bigint':
      return typeof inner === 'string' && /^-?\d+$/.test(inner) ? BigInt(inner) : refuse()
    case '$number':
      return typeof inner === 'string' && ['NaN', 'Infinity', '-Infinity', '-0'].includes(inner) ? Number(inner) : refuse()
    case '$undefined':
      return undefined
    case '$bytes':
      return typeof inner === 'string' ? bytesOfHex(inner) : refuse()
    case '$map':
      if (!Array.isArray(inner) || !inner.every(entry => Array.isArray(entry) && entry.length === 2)) return refuse()
      return new Map(inner.map(([key, each]: [unknown, unknown]) => [fromJson(key), fromJson(each)]))
    case '$set':
      return Array.isArray(inner) ? new Set(inner.map(fromJson)) : refuse()
    case '$array': {
      const [name, hex] = Array.isArray(inner) ? (inner as unknown[]) : []
      const make = typeof name === 'string' && Object.hasOwn(typedArrays, name) ? typedArrays[name] : undefined
      if (make === undefined || typeof hex !== 'string') return refuse()
      const bytes = bytesOfHex(hex)
      try {
        return new make(bytes.buffer as ArrayBuffer)
      } catch {
        return refuse()
      }
    }
    case '$regexp': {
      const [source, flags] = Array.isArray(inner) ? (inner as unknown[]) : []
      return typeof source === 'string' && typeof flags === 'string' ? new RegExp(source, flags) : refuse()
    }
    case '$error': {
      const [name, message] = Array.isArray(inner) ? (inner as unknown[]) : []
      if (typeof name !== 'string' || typeof message !== 'string') return refuse()
      const error = new Error(message)
      error.name = name
      return error
    }
    default:
      return refuse()
  }
}

/** Bytes with memory of their own. InputError for what is no hex. */
export function bytesOfHex(hex: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2})*$/.test(hex)) throw new InputError(`not hexadecimal bytes: ${hex.slice(0, 100)}`)
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

/** A key or value as one line of JSON. */
export function formatJson(value: unknown): string {
  return JSON.stringify(toJson(value))
}

/** InputError for what is no JSON. */
export function parseJson(text: string, what: string): unknown {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new InputError(`${what} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  return fromJson(parsed)
}

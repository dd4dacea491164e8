/**
 * Values as MessagePack, by the package msgpackr: the default value codec of stores, with or without shared structures.
 *
 * What comes back: null, booleans, numbers (-0 as 0), bigints of any size (as bigints), strings (lone surrogates as U+FFFD), Date, Uint8Array, Buffer and other typed
 * arrays, Map, Set, RegExp, Error, arrays and plain objects, with `undefined` inside them. An object with a `toJSON` is what that returns; any other object is its own
 * enumerable properties. Functions, symbols and values that contain themselves are refused.
 *
 * 1. msgpackr writes a Map as it writes an object. So `encode` looks through the value for one, which for the usual record is a loop over its fields, and only when there
 *    is one it encodes a copy in which an extension, type 6D with the flat list of keys and values, stands for each Map.
 * 2. `decode` copies the bytes into memory of its own first: msgpackr marks the array that it reads, looks beyond the end of a value that is cut off, and does not expect
 *    shared memory.
 * 3. With structures, an object whose list of keys is one of them is written as the number of the structure and the values. A list that is seen for the second time
 *    becomes a structure while there are fewer than `sharedStructuresMax`; whoever keeps the value keeps `structures` first. Such values need their structures to be
 *    read, and a store stays with or without them: small integers have other bytes. One value may have several encodings then; `plain` gives it one.
 * Invariant: structures are only ever added, at the end.
 */

import { addExtension, Packr, RESET_BUFFER_MODE, Unpackr } from 'msgpackr'
import { damagedBytes } from '../codec/damage.ts'
import { assert } from '../errors.ts'

/** Lists of the keys of objects; a structure's number is its index. */
export type ValueStructures = readonly (readonly string[])[]

/** How a codec of values is made. */
export interface MsgpackValuesOptions {
  /** The structures known so far, in order. Given: structures are shared. */
  readonly structures?: ValueStructures
}

/** So many structures are shared at most; objects with other keys are written with their keys. */
export const sharedStructuresMax = 64
/** An object with more keys than this is a dictionary, whose keys are not shared. */
const structureKeysMax = 64
/** Nor are keys that are longer together, characters. */
const structureCharactersMax = 4096
/** Lists of keys that were seen once are remembered up to this number, and then forgotten together. */
const seenMax = 1024
/** msgpackr remembers the keys of every object that got no structure: after so many it is made anew. */
const forgottenKeysMax = 2 ** 17
/** Deeper values are refused: they would exhaust the stack, or contain themselves. */
const depthMax = 500
/** Larger values are read from a copy made for each, so that one of them does not occupy memory for good. */
const scratchBytes = 65536
/** When msgpackr's buffer had to grow for a value beyond this size it gets a small one back. */
const packedBytesKept = 1 << 20
const packBufferBytes = 8192
const mapExtension = 0x6d

/** Stands for a Map in what is encoded. */
class FlatMap {
  readonly entries: readonly unknown[]

  constructor(entries: readonly unknown[]) {
    this.entries = entries
  }
}

addExtension({
  Class: FlatMap,
  type: mapExtension,
  write: (map: FlatMap) => map.entries,
  read(entries: unknown) {
    if (!Array.isArray(entries) || entries.length % 2 !== 0) throw new Error('a Map is a list of keys and values')
    const map = new Map<unknown, unknown>()
    for (let i = 0; i < entries.length; i += 2) map.set(entries[i], entries[i + 1])
    return map
  },
})

const common = { mapsAsObjects: true, variableMapSize: true, moreTypes: true, copyBuffers: true, structuredClone: false } as const

/** Where values are decoded from: one for all codecs of the process, since there may be a thousand stores. */
const scratch = Buffer.alloc(scratchBytes)
/** A decoder of the user's (an extension of msgpackr) may decode another value meanwhile: that one must not use `scratch`. */
let decoding = false

/** The codecs 'msgpack' and, with structures, 'msgpack-structures': one for each store, which has its structures. */
export class MsgpackValues {
  readonly name: 'msgpack' | 'msgpack-structures'
  /** The codec in which a value has one encoding; undefined: it is this one. */
  readonly plain: MsgpackValues | undefined
  readonly #sharing: boolean
  /** Lists of keys that were seen once, as text. */
  readonly #seen = new Set<string>()
  #structures: ValueStructures
  #packr: Packr
  /** Absent when the structures have grown since it was made. */
  #unpackr: Unpackr | undefined
  /** Whether `#unpackr` has taken the structures: it asks again only for a structure that is not there. */
  #unpackrHasStructures = false
  /** Keys of objects that got no structure, since `#packr` was made. */
  #forgottenKeys = 0
  /** Structures that the running `encode` has made. */
  #pending = 0

  constructor(options: MsgpackValuesOptions = {}) {
    this.#structures = copyStructures(options.structures ?? [])
    assert(
      this.#structures.length <= sharedStructuresMax,
      'values have few shared structures',
      this.#structures.length,
      sharedStructuresMax,
    )
    this.#sharing = options.structures !== undefined
    this.name = this.#sharing ? 'msgpack-structures' : 'msgpack'
    this.plain = this.#sharing ? plainValues() : undefined
    this.#packr = this.#makePackr()
  }

  /** All structures, for whoever keeps them; a new list when there are new ones. */
  get structures(): ValueStructures {
    return this.#structures
  }

  /** A view that holds until anybody encodes by msgpackr again: copy it at once. TypeError naming `value` for what cannot be encoded. */
  encode(value: unknown): Uint8Array {
    if (value === undefined) throw new TypeError('value must not be undefined')
    const encodable = needsCopy(value, 0) ? copyForPacking(value, 0) : value
    if (encodable === undefined) throw new TypeError('value must not be undefined, as its toJSON returns')
    this.#pending = 0
    if (this.#forgottenKeys > forgottenKeysMax) this.#packr = this.#makePackr()
    let packed: Uint8Array
    try {
      packed = this.#packr.pack(encodable, RESET_BUFFER_MODE)
    } catch (cause) {
      throw new TypeError(`value cannot be written as MessagePack: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
    if (packed.length > packedBytesKept) this.#packr.useBuffer(Buffer.allocUnsafeSlow(packBufferBytes))
    return packed
  }

  /** The value in `bytes[start, end)`; `CORRUPT`, with what msgpackr threw as its cause, when there is none. */
  decode(bytes: Uint8Array, start: number, end: number): unknown {
    assert(start >= 0 && start <= end && end <= bytes.length, 'a value lies inside its bytes', start, end)
    const size = end - start
    const nested = decoding
    const source = nested || size > scratchBytes ? Buffer.allocUnsafeSlow(size) : scratch
    source.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
    decoding = true
    let value: unknown
    try {
      value = (this.#unpackr ?? this.#makeUnpackr()).unpack(source, size)
    } catch (cause) {
      throw damagedBytes('value is not MessagePack', start, {}, cause)
    } finally {
      decoding = nested
    }
    if (value === undefined) throw damagedBytes('value is undefined', start)
    return value
  }

  #makePackr(): Packr {
    this.#forgottenKeys = 0
    if (!this.#sharing) return new Packr({ ...common, useRecords: false })
    return new Packr({
      ...common,
      useRecords: true,
      // One more than are ever made: so `shouldShareStructure` is asked about each object without a structure, and counts its keys.
      maxSharedStructures: sharedStructuresMax + 1,
      maxOwnStructures: 0,
      shouldShareStructure: keys => this.#isShared(keys),
      getStructures: () => copyStructures(this.#structures),
      saveStructures: structures => this.#addStructures(structures as string[][]),
    })
  }

  #isShared(keys: readonly string[]): boolean {
    if (keys.length <= structureKeysMax && this.#structures.length + this.#pending < sharedStructuresMax && this.#isSeenAgain(keys)) {
      this.#pending++
      return true
    }
    this.#forgottenKeys += keys.length
    return false
  }

  /** A list of keys that comes once, as that of a dictionary, must not take one of the few places. */
  #isSeenAgain(keys: readonly string[]): boolean {
    const text = JSON.stringify(keys)
    if (text.length > structureCharactersMax) return false
    if (this.#seen.delete(text)) return true
    if (this.#seen.size >= seenMax) this.#seen.clear()
    this.#seen.add(text)
    return false
  }

  #addStructures(structures: readonly (readonly string[])[]): void {
    this.#structures = copyStructures(structures)
    this.#unpackr = undefined
  }

  #makeUnpackr(): Unpackr {
    if (!this.#sharing) return (this.#unpackr = new Unpackr({ ...common, useRecords: false }))
    this.#unpackrHasStructures = false
    const unpackr = new Unpackr({
      ...common,
      useRecords: true,
      getStructures: () => {
        if (this.#unpackrHasStructures) throw new Error('the structure is not known')
        this.#unpackrHasStructures = true
        return copyStructures(this.#structures)
      },
    })
    const first = this.#structures[0]
    // The first object without its structure makes msgpackr ask for all; from then on it asks only for one that nobody wrote.
    if (first === undefined) this.#unpackrHasStructures = true
    else unpackr.unpack(Uint8Array.of(0x40, ...first.map(() => 0xc0)))
    return (this.#unpackr = unpackr)
  }
}

let plainShared: MsgpackValues | undefined

function plainValues(): MsgpackValues {
  plainShared ??= new MsgpackValues()
  return plainShared
}

function copyStructures(structures: ValueStructures): string[][] {
  return structures.map(keys => [...keys])
}

/** Whether msgpackr would lose something of the value: a Map, or an object that wants to be another value. Refuses what has no bytes. */
function needsCopy(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`value must not contain a ${typeof value}`)
    return false
  }
  if (depth > depthMax) throw new TypeError(`value must not contain itself or nest more than ${depthMax} deep`)
  // The usual record is known by its constructor alone.
  if (value.constructor !== Object) {
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) if (needsCopy(value[i], depth + 1)) return true
      return false
    }
    if (value instanceof Map) return true
    if (isWrittenWhole(value)) return false
    if (value instanceof Promise) throw new TypeError('value must not contain a Promise')
    if (value instanceof Set) {
      for (const member of value) if (needsCopy(member, depth + 1)) return true
      return false
    }
  }
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return true
  for (const key in value) if (needsCopy((value as Record<string, unknown>)[key], depth + 1)) return true
  return false
}

/** Objects that msgpackr has an extension for and that contain no value of ours. */
function isWrittenWhole(value: object): boolean {
  return (
    value instanceof Date || ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof RegExp || value instanceof Error
  )
}

function copyForPacking(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'function' || typeof value === 'symbol') throw new TypeError(`value must not contain a ${typeof value}`)
    return value
  }
  if (depth > depthMax) throw new TypeError(`value must not contain itself or nest more than ${depthMax} deep`)
  if (Array.isArray(value)) return Array.from(value, element => copyForPacking(element, depth + 1))
  if (value instanceof Map)
    return new FlatMap(Array.from(value).flatMap(([key, mapped]) => [copyForPacking(key, depth + 1), copyForPacking(mapped, depth + 1)]))
  if (isWrittenWhole(value)) return value
  if (value instanceof Promise) throw new TypeError('value must not contain a Promise')
  if (value instanceof Set) return new Set(Array.from(value, member => copyForPacking(member, depth + 1)))
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') return copyForPacking(toJSON.call(value), depth + 1)
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, copyForPacking(field, depth + 1)]))
}

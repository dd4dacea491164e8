/**
 * Extension fields: how our own formats (frames, entries, footers, batches) grow without a new format version.
 *
 *   extensions     the format around them says where they start and end; no bytes, no fields
 *     field*       in ascending order of tag, each tag at most once
 *       tag        varint     odd: a reader that does not know it must stop (NEWER_FORMAT); even: it may skip it
 *       size       varint
 *       bytes
 *
 * Fields that a reader may skip are still returned, so that whoever rewrites a block can carry them along. Positions in errors are those in `source`;
 * the caller adds the file (`placeDamage`).
 */

import { damagedBytes } from '../codec/damage.ts'
import { readVarint, varintEnd, varintSize, writeVarint } from '../codec/varint.ts'
import { assert, VarveError } from '../errors.ts'

export interface Extension {
  /** Odd when a reader must understand it. */
  readonly tag: number
  readonly bytes: Uint8Array
}

const noFields: readonly Extension[] = Object.freeze([])
const noTags: ReadonlySet<number> = new Set()

/** How many bytes `writeExtensions` writes. */
export function extensionsSize(extensions: readonly Extension[]): number {
  let size = 0
  for (const { tag, bytes } of extensions) size += varintSize(tag) + varintSize(bytes.length) + bytes.length
  return size
}

/** Writes the fields, which must be in ascending order of tag, and returns the position after them. */
export function writeExtensions(target: Uint8Array, position: number, extensions: readonly Extension[]): number {
  assert(position + extensionsSize(extensions) <= target.length, 'extensions fit their target', position, target.length)
  let at = position
  let before = -1
  for (const { tag, bytes } of extensions) {
    assert(tag > before, 'extension tags ascend', tag, before)
    before = tag
    at = writeVarint(target, at, tag)
    at = writeVarint(target, at, bytes.length)
    target.set(bytes, at)
    at += bytes.length
  }
  return at
}

/**
 * The fields that fill `source[start, end)`, as views. `known` lists the tags that the caller understands. Throws CORRUPT when they do not fill the
 * range exactly, NEWER_FORMAT for an odd tag that is not known.
 */
export function readExtensions(source: Uint8Array, start: number, end: number, known: ReadonlySet<number> = noTags): readonly Extension[] {
  assert(start >= 0 && start <= end && end <= source.length, 'the range lies in the bytes', start, end)
  if (start === end) return noFields
  const fields: Extension[] = []
  let before = -1
  for (let at = start; at < end; ) {
    const tag = readVarint(source, at, end)
    const size = readVarint(source, varintEnd, end)
    const from = varintEnd
    if (tag <= before) throw damagedBytes('extension tags do not ascend', at, { actual: tag })
    if (size > end - from) throw damagedBytes('extension field is cut off', at, { expected: size, actual: end - from })
    if (tag % 2 === 1 && !known.has(tag)) {
      throw new VarveError('NEWER_FORMAT', `extension ${tag} must be understood, and this version does not know it (at byte ${at})`, {
        details: { position: at, actual: tag },
      })
    }
    before = tag
    at = from + size
    fields.push({ tag, bytes: source.subarray(from, at) })
  }
  return fields
}

/** For a reader that knows no field at all: passes over those that it may skip; throws as `readExtensions` does. */
export function skipExtensions(source: Uint8Array, start: number, end: number): void {
  if (start !== end) readExtensions(source, start, end)
}

/** Fields behind a varint that gives their size in bytes, for formats that do not say it elsewhere; returns the position after them. */
export function skipSizedExtensions(source: Uint8Array, position: number, end: number = source.length): number {
  const size = readVarint(source, position, end)
  const start = varintEnd
  if (size > end - start) throw damagedBytes('extension fields are cut off', position, { expected: size, actual: end - start })
  skipExtensions(source, start, start + size)
  return start + size
}

/**
 * Fields of encoded values, without decoding the values: which codecs can be read so. Scans of jobs read fields so, and whatever writes columns of a segment.
 */
import { fieldTree } from './field-tree.ts'
import { JsonFields } from './json-fields.ts'
import { MsgpackFields } from './msgpack-fields.ts'
import type { EncodedRange, RowCodec } from './row-codec.ts'
import type { Vector } from './vector.ts'

/** Takes the wanted fields out of rows. */
export interface FieldReader {
  /** A vector of each field, in the order of the paths; valid until the next call. CORRUPT. */
  read(range: EncodedRange): readonly Vector[]
}

const codecs: ReadonlySet<string> = new Set(['msgpack', 'msgpack-structures', 'json'])

/** Whether fields can be taken out of values of the codec of this name. */
export function readsFields(codec: string): boolean {
  return codecs.has(codec)
}

/** Reads the fields of `paths`, of which there is at least one. */
export function fieldReader(codec: RowCodec, paths: readonly string[]): FieldReader {
  const tree = fieldTree(paths)
  return codec.name === 'json' ? new JsonFields(tree, paths.length) : new MsgpackFields(tree, paths.length, codec)
}

/** Copies of rows of a vector, for whoever keeps them longer than their chunk. */

import { VALUE_BYTES } from './column.ts'
import { gatherBytes } from './gather-bytes.ts'
import { AnyVector, BooleanVector, EncodedVector, NumberVector, TextVector, type Vector } from './vector.ts'

/** Rows `rows[0, count)` as rows 0, 1, 2, … of a vector in memory of its own, and the bytes that it holds, about. */
export function copyRows(vector: Vector, rows: Int32Array, count: number): { readonly vector: Vector; readonly bytes: number } {
  switch (vector.kind) {
    case 'number': {
      const values = new Float64Array(count)
      for (let k = 0; k < count; k++) values[k] = vector.values[rows[k] as number] as number
      return {
        vector: new NumberVector(values, vector.nulls === undefined ? undefined : pick(vector.nulls, rows, count)),
        bytes: 9 * count,
      }
    }
    case 'boolean':
      if (vector.isNothing) return { vector, bytes: 0 }
      return { vector: new BooleanVector(pick(vector.values, rows, count)), bytes: count }
    case 'text':
    case 'encoded': {
      const { bytes, starts, ends } = compact(vector, rows, count)
      const copy = vector.kind === 'text' ? new TextVector(bytes, starts, ends) : new EncodedVector(bytes, starts, ends, vector.codec)
      return { vector: copy, bytes: bytes.length + 8 * count }
    }
    default: {
      const values = new Array<unknown>(count)
      for (let k = 0; k < count; k++) values[k] = vector.values[rows[k] as number]
      return { vector: new AnyVector(values), bytes: VALUE_BYTES * count }
    }
  }
}

function pick(source: Uint8Array, rows: Int32Array, count: number): Uint8Array {
  const picked = new Uint8Array(count)
  for (let k = 0; k < count; k++) picked[k] = source[rows[k] as number] as number
  return picked
}

function compact(vector: TextVector | EncodedVector, rows: Int32Array, count: number): Pick<TextVector, 'bytes' | 'starts' | 'ends'> {
  const starts = new Int32Array(count)
  const ends = new Int32Array(count)
  let size = 0
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    const start = vector.starts[row] as number
    if (start >= 0) size += (vector.ends[row] as number) - start
  }
  const bytes = new Uint8Array(size)
  gatherBytes(vector.bytes, vector.starts, vector.ends, rows, 0, count, bytes, 0, starts, ends)
  return { bytes, starts, ends }
}

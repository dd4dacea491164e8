/** Random chunks of every kind of vector, for tests of jobs. */
import type { ChunkData } from '../../compute/vector/chunk.ts'
import { Chunk } from '../../compute/vector/chunk.ts'
import { AnyVector, BOOLEAN_NULL, BooleanVector, NumberVector, TextVector, type Vector } from '../../compute/vector/vector.ts'
import type { Random } from '../unit/engine/codec/random.ts'
import { randomNumber, randomScalar, randomText, randomValue } from './random-values.ts'

const rich = { rich: true }

/** Kinds of vectors, as `randomVector` makes them; 'nested' is 'any' with lists and objects. */
export const vectorKinds = ['number', 'numberNulls', 'boolean', 'text', 'any', 'nested'] as const
export type VectorKind = (typeof vectorKinds)[number]

/** Texts one after the other in one buffer, some rows null. */
export function textVector(values: readonly (string | null)[]): TextVector {
  const bytes = Buffer.from(`before${values.join('')}after`)
  const [starts, ends] = [new Int32Array(values.length), new Int32Array(values.length)]
  let at = 6
  for (const [i, value] of values.entries()) {
    starts[i] = value === null ? -1 : at
    at += value === null ? 0 : Buffer.byteLength(value)
    ends[i] = at
  }
  return new TextVector(bytes, starts, ends)
}

export function randomVector(random: Random, kind: VectorKind, size: number): Vector {
  switch (kind) {
    case 'number':
    case 'numberNulls': {
      const nulls = Uint8Array.from({ length: size }, () => (random.below(4) === 0 ? 1 : 0))
      return new NumberVector(
        Float64Array.from({ length: size }, () => randomNumber(random, rich)),
        kind === 'number' ? undefined : nulls,
      )
    }
    case 'boolean':
      return new BooleanVector(Uint8Array.from({ length: size }, () => random.below(BOOLEAN_NULL + 1)))
    case 'text':
      return textVector(Array.from({ length: size }, () => (random.below(5) === 0 ? null : randomText(random))))
    case 'any':
      return new AnyVector(Array.from({ length: size }, () => randomScalar(random, rich)))
    default:
      return new AnyVector(Array.from({ length: size }, () => randomValue(random, rich, 2)))
  }
}

/** Rows of these fields; a field by another name is of nulls. */
class Fields implements ChunkData {
  readonly size: number
  readonly #fields: ReadonlyMap<string, Vector>

  constructor(size: number, fields: ReadonlyMap<string, Vector>) {
    this.size = size
    this.#fields = fields
  }

  field(path: string): Vector {
    return this.#fields.get(path) ?? new AnyVector(new Array(this.size).fill(null))
  }

  value(row: number): unknown {
    return Object.fromEntries(Array.from(this.#fields, ([name, vector]) => [name, vector.get(row)]))
  }
}

/** A chunk of these vectors, of which some rows count. */
export function randomChunk(random: Random, fields: Readonly<Record<string, Vector>>, size: number): Chunk {
  const data = new Fields(size, new Map(Object.entries(fields)))
  if (random.below(3) === 0) return new Chunk(data)
  const rows = Int32Array.from(Array.from({ length: size }, (_, i) => i).filter(() => random.below(3) > 0))
  return new Chunk(data, rows, rows.length)
}

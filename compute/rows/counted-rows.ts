/** Rows of which nobody wants more than their number. */
import { VarveError } from '../../engine/index.ts'
import type { ChunkData } from '../vector/chunk.ts'
import type { Vector } from '../vector/vector.ts'

export class CountedRows implements ChunkData {
  readonly size: number

  constructor(size: number) {
    this.size = size
  }

  field(path: string): Vector {
    throw new VarveError('INVARIANT', `rows that are only counted have no field ${path}`)
  }

  value(): unknown {
    throw new VarveError('INVARIANT', 'rows that are only counted have no values')
  }
}

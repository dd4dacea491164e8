/** See `vector.ts`. */
export { VectorBuilder, vectorOf } from '../../engine/index.ts'

/** Vectors, which the engine has too: it takes fields out of records where it writes them as columns. */
export {
  AnyVector,
  BOOLEAN_NULL,
  BooleanVector,
  type Dictionary,
  DictionaryVector,
  EncodedVector,
  isNothing,
  NumberVector,
  nullVector,
  sameVector,
  TextVector,
  type Vector,
} from '../../engine/index.ts'

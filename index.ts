/** The facade: what `import … from 'varve'` gives. */

export type {
  Appended,
  AppendOptions,
  Commit,
  Committed,
  DatabaseStats,
  DefinedLog,
  Durability,
  ErrorCode,
  ErrorDetails,
  LeaseDescription,
  LogDefinition,
  LogRecord,
  LogSlice,
  OpenOptions,
  StoreRecord,
  TopicRecord,
  VarveErrorOptions,
} from './engine/index.ts'
export { Database, decodeRecords, errorCodes, isVarveError, openDatabase as open, openLease, VarveError } from './engine/index.ts'

/** This package's version; a test holds it equal to package.json. */
export const version: string = '0.0.1'

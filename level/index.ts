/** The door of `varve/level`: a Varve store as an abstract-level database. docs/LEVEL.md is for its users. */

export type { VarveLevelOptions, VarveLevelWriteOptions } from './options.ts'
export { VarveLevel } from './varve-level.ts'

/** The engine's only door: what other folders and `varve/engine` may use. */

export type { ErrorCode, ErrorDetails, VarveErrorOptions } from './errors.ts'
export { errorCodes, isVarveError, VarveError } from './errors.ts'

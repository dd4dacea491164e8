/** The facade: what `import … from 'varve'` gives. */

export type { ErrorCode, ErrorDetails, VarveErrorOptions } from './engine/index.ts'
export { errorCodes, isVarveError, VarveError } from './engine/index.ts'

/** This package's version; a test holds it equal to package.json. */
export const version: string = '0.0.1'

/**
 * Packages that only some databases need: loaded synchronously on first use, so that a sealed segment can be read in the middle of a synchronous `get`.
 *
 * `createRequire` is used because a static import would fail at start when the package is not installed, and `import()` cannot be awaited there.
 */

import { createRequire } from 'node:module'
import { VarveError } from '../errors.ts'

const requirePackage: NodeJS.Require = createRequire(import.meta.url)

/** The package's exports; throws `CODEC_MISSING`, naming it, when it is not installed or has no binary for this platform. */
export function loadPackage(name: string, purpose: string): unknown {
  try {
    return requirePackage(name)
  } catch (cause) {
    throw new VarveError(
      'CODEC_MISSING',
      `${purpose} needs the package ${name}, which could not be loaded; install it with: npm install ${name}`,
      {
        cause,
        details: { package: name },
      },
    )
  }
}

/**
 * Removes from dist/ what no longer has a source. `npm run build` compiles over dist/ and then prunes it, instead of emptying it first, so
 * that a running test whose worker threads load dist/ never finds it missing.
 */

import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** @param {string} folder relative to dist/ and to the root alike */
function prune(folder) {
  for (const entry of readdirSync(join('dist', folder), { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      prune(path)
      if (readdirSync(join('dist', path)).length === 0) rmdirSync(join('dist', path))
    } else if (!existsSync(path.replace(/(\.d\.ts|\.js)$/, '.ts'))) rmSync(join('dist', path), { force: true })
  }
}

prune('.')

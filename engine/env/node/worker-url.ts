/**
 * Where a worker thread's entry file lies. Compiled code starts compiled workers. Code that runs from TypeScript sources (tests) maps
 * to the same file under `dist/`, because Node 20 cannot start a thread from TypeScript; where Node can, the source itself is taken.
 */
import { existsSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/**
 * URL of `<path>.js` (or `.ts`, see above) next to the module `moduleUrl`, its `import.meta.url`.
 * Throws an Error that says what to run when the build is missing.
 */
export function resolveWorkerUrl(moduleUrl: string, path: string): { readonly href: string } {
  if (!moduleUrl.endsWith('.ts')) return new URL(`${path}.js`, moduleUrl)
  const source = fileURLToPath(new URL(`${path}.ts`, moduleUrl))
  if ((process.features as { typescript?: unknown }).typescript) return pathToFileURL(source)
  const root = packageRoot(dirname(source))
  const built = join(root, 'dist', relative(root, source).replace(/\.ts$/, '.js'))
  if (existsSync(built)) return pathToFileURL(built)
  throw new Error(`${built.split(sep).join('/')} is missing: run "npm run build" first, worker threads start from compiled files`)
}

function packageRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const parent = dirname(folder)
  if (parent === folder) throw new Error('no package.json above the module that starts a worker')
  return packageRoot(parent)
}

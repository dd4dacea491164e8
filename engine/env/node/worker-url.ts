/**
 * Where a worker thread's entry file lies. Compiled code starts compiled workers, bundled code bundled ones. Code that runs from TypeScript sources
 * (tests) maps to the same file under `dist/`, because Node 20 cannot start a thread from TypeScript; where Node can, the source itself is taken.
 */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/**
 * URL of the entry file `path`, which is given from the root of the code and without its ending (`'engine/worker'`), for the module `moduleUrl`, its
 * `import.meta.url`. Where that module lies below the root differs between the sources and the bundle, so its folders are searched upwards, to that
 * of package.json. Throws an Error that says what to run when the build is missing.
 */
export function resolveWorkerUrl(moduleUrl: string, path: string): { readonly href: string } {
  const module = fileURLToPath(moduleUrl)
  if (!module.endsWith('.ts')) {
    const { found, root } = search(dirname(module), `${path}.js`)
    if (found !== undefined) return pathToFileURL(found)
    throw missing(join(root, `${path}.js`))
  }
  const { found, root } = search(dirname(module), `${path}.ts`)
  if (found !== undefined && (process.features as { typescript?: unknown }).typescript) return pathToFileURL(found)
  const built = join(root, 'dist', `${path}.js`)
  if (existsSync(built)) return pathToFileURL(built)
  throw missing(built)
}

/** The file in the folder or one above it, up to the package's own, the `root`. */
function search(folder: string, file: string): { readonly found: string | undefined; readonly root: string } {
  const path = join(folder, file)
  if (existsSync(path)) return { found: path, root: folder }
  if (existsSync(join(folder, 'package.json'))) return { found: undefined, root: folder }
  const parent = dirname(folder)
  if (parent === folder) throw new Error('no package.json above the module that starts a worker')
  return search(parent, file)
}

function missing(path: string): Error {
  return new Error(`${path.replaceAll('\\', '/')} is missing: run "npm run build" first, worker threads start from compiled files`)
}

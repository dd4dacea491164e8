/**
 * Makes lib/ from dist/: the doors of package.json, the command and the entry files of worker threads, with everything they share in a few chunks.
 * Node takes 0.2 s to find, read and link the 400 modules of dist/ one by one, in every thread; a chunk it loads at once. Dependencies stay outside.
 *
 * Chunks keep their names from build to build, and what no longer exists is removed last, so that a process which runs meanwhile finds its files.
 */

import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const workers = ['engine/worker', 'compute/execute/worker']

/** @type {{ bin: Record<string, string>, exports: Record<string, string | { default: string }> }} */
const { bin, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const doors = [...Object.values(bin), ...Object.values(exports).flatMap(door => (typeof door === 'string' ? [] : [door.default]))]
const entries = [...doors.map(path => path.replace(/^\.\/lib\/(.*)\.js$/, '$1')), ...workers]

const bundle = await rolldown({
  input: Object.fromEntries(entries.map(entry => [entry, join(root, 'dist', `${entry}.js`)])),
  platform: 'node',
  external: id => !id.startsWith('.') && !id.startsWith(root),
})
const { output } = await bundle.write({
  dir: join(root, 'lib'),
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name].js',
  // Stack traces name what the source names.
  minify: false,
})
await bundle.close()

const written = new Set(output.map(({ fileName }) => resolve(root, 'lib', fileName)))
prune(join(root, 'lib'))

/** @param {string} folder */
function prune(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (!entry.isDirectory()) {
      if (!written.has(path)) rmSync(path, { force: true })
    } else {
      prune(path)
      if (existsSync(path) && readdirSync(path).length === 0) rmdirSync(path)
    }
  }
}

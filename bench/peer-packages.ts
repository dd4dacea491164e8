/** Finds packages of `bench/peers`, from sources and from `dist/` alike. They are loaded when used: each is missing where it did not install. */

import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's folder. */
export function rootFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'bench/peers/package.json'))) return folder
    if (folder === dirname(folder)) throw new Error('no bench/peers above this file')
  }
}

/** Version of the package in a folder of the repository. */
export function packageVersion(...path: readonly string[]): string {
  return (JSON.parse(readFileSync(join(rootFolder(), ...path, 'package.json'), 'utf8')) as { readonly version: string }).version
}

/** `T` is what the caller uses of the module. */
export function loadPeer<T>(name: string): T {
  return createRequire(join(rootFolder(), 'bench/peers/package.json'))(name) as T
}

/** Loads it to see whether its native code fits this machine. */
export function peerVersion(name: string): { version: string } | { reason: string } {
  try {
    if (!existsSync(join(rootFolder(), 'bench/peers/node_modules', name))) return { reason: 'not installed; see bench/peers/README' }
    loadPeer(name)
    return { version: packageVersion('bench/peers/node_modules', name) }
  } catch (error) {
    return { reason: (error instanceof Error ? error.message : String(error)).split('\n')[0] as string }
  }
}

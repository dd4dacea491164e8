/**
 * What every catalog view asks of its callers, kept once so that both implementations refuse the same things: sizes of keys and values,
 * and a key at most once in a change (otherwise its meaning would depend on the order of application).
 */
import { assert } from '../errors.ts'
import type { CatalogChange } from './environment.ts'

const catalogKeyBytesMax = 500
const catalogValueBytesMax = 64 * 1024 * 1024

export function checkCatalogKey(key: Uint8Array): void {
  assert(key.length >= 1 && key.length <= catalogKeyBytesMax, 'a catalog key has 1 .. 500 bytes', key.length)
}

export function checkCatalogChange(change: CatalogChange): void {
  const seen = new Set<string>()
  for (const { key, value } of change.puts) {
    checkCatalogKey(key)
    assert(value.length <= catalogValueBytesMax, 'a catalog value has at most 64 MB', value.length)
    seen.add(keyName(key))
  }
  for (const key of change.deletes) {
    checkCatalogKey(key)
    seen.add(keyName(key))
  }
  assert(seen.size === change.puts.length + change.deletes.length, 'a catalog change names a key once', seen.size)
}

/** A string that is equal for equal keys and orders as their bytes do. */
export function keyName(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

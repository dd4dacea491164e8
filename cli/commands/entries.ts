/** `varve get`, `put`, `del`: single entries of a store. */
import { text as readAll } from 'node:stream/consumers'
import { exitCodes } from '../exit-codes.ts'
import { toJson } from '../json-values.ts'
import { print, printJson } from '../output.ts'
import { findStore, formatValue, type KeyNotation, parseKey, parseValue, type ValueNotation, withDatabase } from '../stores.ts'

interface EntryOptions {
  readonly json: boolean
  readonly keysAs: KeyNotation
}

export function runGet(
  path: string,
  name: string,
  keyText: string,
  options: EntryOptions & { readonly valuesAs: ValueNotation },
): Promise<number> {
  return withDatabase(path, { create: false }, async db => {
    const { store, keys } = await findStore(db, name, { create: false })
    const key = parseKey(keyText, options.keysAs, keys)
    const value = await store.getAsync(key)
    const found = value !== undefined
    if (options.json) await printJson(found ? { found, key: toJson(key), value: toJson(value) } : { found, key: toJson(key) })
    else if (found) await print(`${formatValue(value, options.valuesAs)}\n`)
    return found ? exitCodes.ok : exitCodes.absent
  })
}

/** `valueText` '-': the value is what stdin has. */
export async function runPut(
  path: string,
  name: string,
  keyText: string,
  valueText: string,
  options: EntryOptions & { readonly valuesAs: ValueNotation; readonly ttl: number | undefined },
): Promise<number> {
  const given = valueText === '-' ? await readAll(process.stdin) : valueText
  const value = parseValue(given, options.valuesAs)
  return await withDatabase(path, { create: true }, async db => {
    const { store, keys } = await findStore(db, name, { create: true })
    const key = parseKey(keyText, options.keysAs, keys)
    await store.put(key, value, options.ttl === undefined ? {} : { ttlMs: options.ttl })
    if (options.json) await printJson({ store: name, key: toJson(key) })
    else await print(`${name}: 1 entry put\n`)
    return exitCodes.ok
  })
}

export function runDel(path: string, name: string, keyTexts: readonly string[], options: EntryOptions): Promise<number> {
  return withDatabase(path, { create: false }, async db => {
    const { store, keys } = await findStore(db, name, { create: false })
    // The same key twice is one entry.
    const wanted = new Map(keyTexts.map(text => parseKey(text, options.keysAs, keys)).map(key => [JSON.stringify(toJson(key)), key]))
    const present = [...wanted.values()].filter(key => store.has(key))
    await store.batch(present.map(key => ({ type: 'del', key })))
    if (options.json) await printJson({ deleted: present.length })
    else await print(`${name}: ${present.length === 1 ? '1 entry' : `${present.length} entries`} deleted\n`)
    return exitCodes.ok
  })
}

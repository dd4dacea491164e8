/** `varve scan`, `count`, `stores`: what is in a database's stores. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { exitCodes } from '../exit-codes.ts'
import { formatJson, toJson } from '../json-values.ts'
import { formatBytes, print, printJson, table } from '../output.ts'
import { withProgress } from '../progress.ts'
import { codecsOf, findStore, formatValue, type RangeArguments, rangeOf, type ValueNotation, withDatabase } from '../stores.ts'

const batchEntries = 1000

export interface ScanOptions extends RangeArguments {
  readonly json: boolean
  readonly valuesAs: ValueNotation
  readonly keysOnly?: boolean
  readonly valuesOnly?: boolean
}

/** A line an entry: key, tab, value; with --json an object. */
export function runScan(path: string, name: string, options: ScanOptions): Promise<number> {
  const { keysOnly = false, valuesOnly = false, json, valuesAs } = options
  if (keysOnly && valuesOnly) throw new RangeError('--keys-only and --values-only exclude each other')
  return withDatabase(path, { create: false }, async db => {
    const { store, keys } = await findStore(db, name, { create: false })
    const range = rangeOf(options, keys)
    const keyLine = (key: unknown): string => (json ? formatJsonObject({ key: toJson(key) }) : `${formatJson(key)}\n`)
    const valueLine = (value: unknown): string => (json ? formatJsonObject({ value: toJson(value) }) : `${formatValue(value, valuesAs)}\n`)
    const line = ([key, value]: [unknown, unknown]): string =>
      json ? formatJsonObject({ key: toJson(key), value: toJson(value) }) : `${formatJson(key)}\t${formatValue(value, valuesAs)}\n`
    // Interrupted by Ctrl-C as any program that prints: there is nothing to undo.
    const walk = async <T>(iterator: { nextBatch(count: number): T[] }, format: (item: T) => string): Promise<void> => {
      for (let batch = iterator.nextBatch(batchEntries); batch.length > 0; batch = iterator.nextBatch(batchEntries)) {
        await print(batch.map(format).join(''))
      }
    }
    if (keysOnly) await walk(store.keys(range), keyLine)
    else if (valuesOnly) await walk(store.values(range), valueLine)
    else await walk(store.entries(range), line)
    return exitCodes.ok
  })
}

function formatJsonObject(value: unknown): string {
  return `${JSON.stringify(value)}\n`
}

export function runCount(
  path: string,
  name: string,
  options: RangeArguments & { readonly json: boolean; readonly estimate?: boolean },
): Promise<number> {
  return withDatabase(path, { create: false }, async db => {
    const { store, keys } = await findStore(db, name, { create: false })
    const range = rangeOf(options, keys)
    const count =
      options.estimate === true
        ? store.estimate(range)
        : await withProgress({ json: options.json, bytes: false }, async (bar, signal) => {
            const total = store.estimate({ ...range, limit: undefined })
            const iterator = store.keys(range)
            let found = 0
            for (let batch = iterator.nextBatch(batchEntries); batch.length > 0; batch = iterator.nextBatch(batchEntries)) {
              found += batch.length
              bar.update(Math.min(found, total), total, name)
              await nextTurn()
              signal.throwIfAborted()
            }
            return found
          })
    if (options.json) await printJson({ store: name, count, exact: options.estimate !== true })
    else await print(`${count}\n`)
    return exitCodes.ok
  })
}

export function runStores(path: string, options: { readonly json: boolean }): Promise<number> {
  return withDatabase(path, { create: false }, async db => {
    const stores = db.storeNames().map(name => {
      const { keys, value } = codecsOf(db, name)
      try {
        const store = db.store(name)
        return { name, keys, value, entries: store.estimate(), bytes: store.stats().bytes }
      } catch {
        // Values by a codec of a program's own: this command does not have it.
        return { name, keys, value }
      }
    })
    if (options.json) await printJson({ path, stores })
    else {
      const rows = stores.map(({ name, keys, value, entries, bytes }) => [
        name,
        keys,
        value,
        entries ?? '?',
        bytes === undefined ? '?' : formatBytes(bytes),
      ])
      await print(stores.length === 0 ? `${path}: no stores\n` : table([['store', 'keys', 'values', 'about entries', 'on disk'], ...rows]))
    }
    return exitCodes.ok
  })
}

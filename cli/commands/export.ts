/** `varve export`: a store as JSON lines or CSV, in key order, as of one moment; `import` reads it back without loss. */
import { promises as fs } from 'node:fs'
import { VarveError } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { fieldOf } from '../import/importer.ts'
import { formatJson, toJson } from '../json-values.ts'
import { loadOptional } from '../optional-package.ts'
import { print, printJson } from '../output.ts'
import { withProgress } from '../progress.ts'
import { findStore, type RangeArguments, rangeOf, withDatabase } from '../stores.ts'

export type ExportFormat = 'jsonl' | 'csv'
export const exportFormats: readonly ExportFormat[] = ['jsonl', 'csv']

export interface ExportOptions extends RangeArguments {
  readonly json: boolean
  readonly format: ExportFormat
  /** '-': stdout. */
  readonly out: string
  /** Replace the file if there is one. */
  readonly force: boolean
  /** CSV only: these fields of the values, as columns of text. */
  readonly columns: readonly string[] | undefined
}

const batchEntries = 1000

type EntryFormat = (entries: readonly (readonly [unknown, unknown])[]) => string

export async function runExport(path: string, name: string, options: ExportOptions): Promise<number> {
  const { json, out, format } = options
  if (options.columns !== undefined && format !== 'csv') throw new RangeError('--columns has a meaning for CSV only')
  const { head, body } = format === 'jsonl' ? jsonLines() : await csv(options.columns)
  const exported = await withDatabase(path, { create: false }, async db => {
    const { store, keys } = await findStore(db, name, { create: false })
    const range = rangeOf(options, keys)
    const total = store.estimate({ ...range, limit: undefined })
    const iterator = store.entries(range)
    return await withProgress({ json, bytes: false }, (bar, signal) =>
      withOutput(out, options.force, async write => {
        let count = 0
        await write(head)
        for (let batch = iterator.nextBatch(batchEntries); batch.length > 0; batch = iterator.nextBatch(batchEntries)) {
          signal.throwIfAborted()
          await write(body(batch))
          count += batch.length
          bar.update(Math.min(count, total), total, name)
        }
        return count
      }),
    )
  })
  if (out === '-') return exitCodes.ok
  if (json) await printJson({ path, store: name, exported, out })
  else await print(`${out}: ${exported === 1 ? '1 entry' : `${exported} entries`} of ${name}\n`)
  return exitCodes.ok
}

function jsonLines(): { head: string; body: EntryFormat } {
  const line = ([key, value]: readonly [unknown, unknown]): string => `${JSON.stringify({ key: toJson(key), value: toJson(value) })}\n`
  return { head: '', body: entries => entries.map(line).join('') }
}

/** Without columns: key and value as JSON, which loses nothing. */
async function csv(columns: readonly string[] | undefined): Promise<{ head: string; body: EntryFormat }> {
  const { stringify } = await loadOptional('csv-stringify', 'writing CSV', () => import('csv-stringify/sync'))
  if (columns === undefined) {
    return {
      head: stringify([['key', 'value']]),
      body: entries => stringify(entries.map(([key, value]) => [formatJson(key), formatJson(value)])),
    }
  }
  return {
    head: stringify([['key', ...columns]]),
    body: entries => stringify(entries.map(([key, value]) => [cellOf(key), ...columns.map(path => cellOf(fieldOf(value, path)))])),
  }
}

/** Text as it is, nothing for what is absent, JSON for the rest. */
function cellOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : formatJson(value)
}

/**
 * A file has its name when all of it is on the disk; what was not finished is removed. What exists and is no file (a pipe, a device) is written as it
 * stands.
 */
async function withOutput<T>(out: string, force: boolean, work: (write: (text: string) => Promise<void>) => Promise<T>): Promise<T> {
  if (out === '-') return await work(print)
  const stat = await fs.stat(out).catch(() => undefined) // opening it will say what is wrong
  if (stat?.isFile() === true && !force) throw new VarveError('EXISTS', `${out}: exists; --force replaces it`, { details: { file: out } })
  const path = stat === undefined || stat.isFile() ? `${out}.incomplete` : out
  try {
    const file = await fs.open(path, 'w')
    let result: T
    try {
      result = await work(async text => {
        await file.writeFile(text)
      })
      if (path !== out) await file.sync()
    } finally {
      await file.close()
    }
    if (path !== out) await fs.rename(path, out)
    return result
  } catch (error) {
    if (path !== out) await fs.rm(path, { force: true }).catch(() => undefined) // the first error is the one to report
    throw writeError(error, out)
  }
}

function writeError(error: unknown, out: string): unknown {
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown }
  if (typeof code !== 'string' || typeof syscall !== 'string') return error
  const details = { file: out }
  if (code === 'ENOSPC') return new VarveError('NO_SPACE', `${out}: the disk is full`, { cause: error, details })
  return new VarveError('IO', `${out}: writing failed: ${(error as Error).message}`, { cause: error, details })
}

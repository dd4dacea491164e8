/** `varve import`: files of rows into a store. */
import { promises as fs } from 'node:fs'
import { VarveError } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { type CellNotation, csvReader } from '../import/csv.ts'
import { Importer } from '../import/importer.ts'
import { readJsonl } from '../import/jsonl.ts'
import { readParquet } from '../import/parquet.ts'
import type { RowReader } from '../import/row.ts'
import { plural, print, printJson } from '../output.ts'
import { withProgress } from '../progress.ts'
import { findStore, withDatabase } from '../stores.ts'

export type ImportFormat = 'jsonl' | 'csv' | 'parquet'
export const importFormats: readonly ImportFormat[] = ['jsonl', 'csv', 'parquet']

export interface ImportOptions {
  readonly json: boolean
  readonly format: ImportFormat
  /** Undefined: rows are what `export` writes. */
  readonly key: readonly string[] | undefined
  readonly value: string | undefined
  readonly cells: CellNotation | undefined
  readonly skipBad: boolean
}

export async function runImport(path: string, name: string, files: readonly string[], options: ImportOptions): Promise<number> {
  const { json, format, skipBad } = options
  if (options.cells !== undefined && format !== 'csv') throw new RangeError('--cells has a meaning for CSV only')
  const total = await sizeOf(files)
  const isExport = options.key === undefined && options.value === undefined
  const read = readerOf(format, options.cells ?? (isExport ? 'json' : 'text'))
  const result = await withDatabase(path, { create: true }, async db => {
    const { store } = await findStore(db, name, { create: true })
    const importer = new Importer(db, store, {
      key: options.key ?? ['key'],
      value: isExport ? 'value' : options.value,
      skipBad,
      onBad: ({ file, line, problem }) => {
        if (!json) process.stderr.write(`varve: ${file}:${line}: ${problem} (skipped)\n`)
      },
    })
    await withProgress({ json, bytes: true }, async (bar, signal) => {
      let done = 0
      for (const file of files) {
        const added = (bytes: number): void => {
          done += bytes
          bar.update(Math.min(done, Math.max(total, done)), Math.max(total, done), file)
        }
        try {
          for await (const rows of read(file, added)) {
            signal.throwIfAborted()
            await importer.add(file, rows)
          }
        } catch (error) {
          throw readError(error, file)
        }
      }
      await importer.finish()
    })
    return importer
  })
  const { imported, badCount, bad } = result
  if (json) await printJson({ path, store: name, imported, badRows: badCount, bad })
  else {
    const entries = imported === 1 ? '1 entry' : `${imported} entries`
    await print(
      `${name}: ${entries} from ${plural(files.length, 'file')}${badCount === 0 ? '' : `, ${plural(badCount, 'bad row')} skipped`}\n`,
    )
  }
  return exitCodes.ok
}

function readerOf(format: ImportFormat, cells: CellNotation): RowReader {
  if (format === 'csv') return csvReader(cells)
  return format === 'jsonl' ? readJsonl : readParquet
}

/** Before the database is opened or made: all files must be there. */
async function sizeOf(files: readonly string[]): Promise<number> {
  let total = 0
  for (const file of files) {
    if (file === '-') continue
    try {
      total += (await fs.stat(file)).size
    } catch (error) {
      throw readError(error, file)
    }
  }
  return total
}

function readError(error: unknown, file: string): unknown {
  const { code, syscall } = (error ?? {}) as { code?: unknown; syscall?: unknown }
  if (typeof code !== 'string' || typeof syscall !== 'string') return error
  return new VarveError('IO', `${file}: reading failed: ${(error as Error).message}`, { cause: error, details: { file } })
}

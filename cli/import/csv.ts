/** CSV with a header line, by the package `csv-parse`: RFC 4180, UTF-8. A row is an object of its columns. */
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { parseJson } from '../json-values.ts'
import { loadOptional } from '../optional-package.ts'
import type { Row, RowReader } from './row.ts'

/** What a cell becomes: its text; 'auto': a JSON number, true, false or null where it reads as one; 'json': what its JSON says. */
export type CellNotation = 'text' | 'auto' | 'json'

const rowsPerBatch = 1000

export function csvReader(cells: CellNotation): RowReader {
  return (path, added) => readCsv(path, added, cells)
}

async function* readCsv(path: string, added: (bytes: number) => void, cells: CellNotation): AsyncGenerator<Row[]> {
  const { parse } = await loadOptional('csv-parse', 'reading CSV', () => import('csv-parse'))
  const problems: Row[] = []
  const parser = parse({
    columns: true,
    bom: true,
    info: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_skip: error => {
      problems.push({ line: Number((error as { lines?: unknown } | undefined)?.lines ?? 0), problem: error?.message ?? 'not CSV' })
      return undefined
    },
  })
  const input = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: 256 * 1024 })
  input.on('data', (chunk: Buffer) => added(chunk.byteLength))
  pipeline(input, parser, () => undefined) // errors come out of the loop below
  // The parser runs ahead of this loop: a problem waits for the rows before it.
  const problemsBefore = (line: number): Row[] => problems.splice(0, problems.findLastIndex(problem => problem.line <= line) + 1)
  let rows: Row[] = []
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: Record<string, string>; info: { lines: number } }>) {
      rows.push(...problemsBefore(info.lines), rowOf(record, info.lines, cells))
      if (rows.length < rowsPerBatch) continue
      yield rows
      rows = []
    }
  } catch (error) {
    // Nothing behind it can be read.
    if (!/^CSV_/.test(String((error as { code?: unknown }).code))) throw error
    problems.push({ line: Number((error as { lines?: unknown }).lines ?? 0), problem: (error as Error).message })
  }
  rows.push(...problems)
  if (rows.length > 0) yield rows
}

function rowOf(record: Record<string, string>, line: number, cells: CellNotation): Row {
  if (cells === 'text') return { line, value: record }
  try {
    return { line, value: Object.fromEntries(Object.entries(record).map(([name, text]) => [name, cellOf(name, text, cells)])) }
  } catch (error) {
    return { line, problem: error instanceof Error ? error.message : String(error) }
  }
}

function cellOf(name: string, text: string, cells: CellNotation): unknown {
  if (cells === 'json') return parseJson(text, `column ${name}`)
  if (/^(true|false|null)$/.test(text)) return JSON.parse(text)
  // A number that would be written otherwise (007, 1e3, one with too many digits) is more likely a name.
  return text !== '' && String(Number(text)) === text && Number.isFinite(Number(text)) ? Number(text) : text
}

/**
 * TeraSort: rows of 100 bytes, sorted by their first ten. Worker threads read ranges of the input, sort them into runs, and merge ranges of keys, each into a file of its own; the files one after
 * the other are the sorted rows. Nothing of a row passes this thread.
 *
 *   node dist/examples/terasort.js [rows, default 20,000] [workers, default all processors]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { flow, readBinary, row, writeBinary } from '../compute/index.ts'
import { checkRows, filesOf, keyBytes, rowBytes, writeRows } from './terasort/rows.ts'

const rows = Number(process.argv[2] ?? 20_000)
const workers = Number(process.argv[3] ?? availableParallelism())
const folder = await mkdtemp(join(tmpdir(), 'varve-terasort-'))
try {
  const [input, output] = [join(folder, 'input.dat'), join(folder, 'sorted')]
  writeRows(input, rows)

  const sorted = flow('terasort', readBinary(input, { recordBytes: rowBytes })).sort(row<Uint8Array>().slice(0, keyBytes))
  const report = await sorted.to(writeBinary(output, { parts: true }), { workers })

  const [before, after] = [checkRows([input]), checkRows(filesOf(output))]
  const isRight = after.rows === before.rows && after.checksum === before.checksum && after.unordered === 0
  console.log(`${report.rows} rows in ${filesOf(output).length} files, ${isRight ? 'in order, and the same rows' : 'WRONG'}`)
  console.error(`${Math.round((rows * rowBytes) / 1e3 / report.ms)} MB/s in ${Math.round(report.ms)} ms`)
  if (!isRight) process.exitCode = 1
} finally {
  await rm(folder, { recursive: true })
}

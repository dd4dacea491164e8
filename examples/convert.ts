/**
 * Files in, files out, no database: CSV with lines that are none becomes JSON lines and Parquet. Rows stream through; a file gets its name when all of it is on the
 * disk, and a bad record is an error that names file and line, or is left out and counted.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { isVarveError } from 'varve'
import { col, flow, readCsv, readParquet, writeJsonl, writeParquet } from 'varve/compute'

interface Reading {
  readonly place: string
  readonly celsius: number
}

const folder = mkdtempSync(join(tmpdir(), 'varve-convert-'))
const file = (name: string): string => join(folder, name)
try {
  writeFileSync(file('readings.csv'), 'place,celsius\ncellar,12.5\nattic,30\nattic\n"garden, north",-3\n')

  const strict = flow('strict', readCsv<Reading>(file('readings.csv')))
  await strict.to(writeJsonl(file('readings.jsonl'))).catch((error: unknown) => {
    if (!isVarveError(error, 'CORRUPT')) throw error
    console.log(`refused: ${basename(String(error.details.file))}, line ${error.details.line}`)
  })

  const readings = flow('readings', readCsv<Reading>(file('readings.csv'), { badRecords: 'skip' }))
  const warm = readings.filter(col('celsius').gt(0)).withColumns({ fahrenheit: col('celsius').mul(1.8).add(32) })
  const { rows, counters } = await warm.to(writeJsonl(file('readings.jsonl')))
  console.log(`${rows} rows, ${counters.badRecords} left out`)
  console.log(readFileSync(file('readings.jsonl'), 'utf8').trim())

  await readings.to(writeParquet(file('readings.parquet')))
  console.log(
    await flow('again', readParquet<Reading>(file('readings.parquet')))
      .sort('celsius')
      .toArray(),
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}

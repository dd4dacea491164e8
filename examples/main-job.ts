/**
 * `npm start`: one story, on three million real flights or on a file of yours. Rows come durably into a partitioned topic, and those that count into a store
 * with indexes, by the same transactions; the store is asked and changed; a consumer group in a process of its own is killed and goes on without loss or
 * duplicate; a MapReduce and a dataset job over the segments are compared; a replay from a time fills a new store; topic and stores are compacted; and every
 * byte is verified. Each step checks its result against the source and says what it found; a table at the end says what each took.
 *
 *   npm start
 *   npm start -- --input my.csv --key city --value price --time soldAt
 *
 * The database lies in a new folder below `--dir` (default: the system's temporary folder), which is removed at the end unless `--keep`.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { type Database, open, verify } from '../index.ts'
import { type Format, fileInput, UsageError } from './main-job/file.ts'
import { flightsInput } from './main-job/flights.ts'
import type { JobInput } from './main-job/input.ts'
import { JobSteps } from './main-job/job-steps.ts'
import { Model } from './main-job/model.ts'
import { Steps } from './main-job/steps.ts'
import { StoreSteps } from './main-job/store-steps.ts'
import { openOptions } from './main-job/stores.ts'
import { TopicSteps } from './main-job/topic-steps.ts'

interface Options {
  readonly input?: string
  readonly format?: Format
  readonly key?: string
  readonly value?: string
  readonly time?: string
  readonly by?: readonly string[]
  readonly rows?: number
  readonly dir: string
  readonly keep?: boolean
}

function parsed(): Options {
  const toRows = (text: string): number => {
    const count = Number(text)
    if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('It must be a whole number from 1 on.')
    return count
  }
  const toColumns = (text: string): string[] => text.split(',').map(name => name.trim())
  return new Command('npm start --')
    .description('Everything that Varve does, on three million flights or on the rows of a file.')
    .option('--input <file>', 'rows of your own: CSV, JSONL or Parquet; bad lines are named and skipped')
    .addOption(new Option('--format <format>', 'what the file is; default: by its ending').choices(['csv', 'jsonl', 'parquet']))
    .option('--key <column>', 'with --input: the column by which rows belong together')
    .option('--value <column>', 'with --input: a column of numbers, of which means are computed')
    .option('--time <column>', 'with --input: a column of dates or times')
    .option('--by <columns>', 'with --input: columns to group by beside the key, with commas', toColumns)
    .option('--rows <count>', 'at most so many rows', toRows)
    .option('--dir <folder>', 'where the database is made', tmpdir())
    .option('--keep', 'keep the database at the end')
    .exitOverride()
    .parse()
    .opts<Options>()
}

function inputOf({ input, format, key, value, time, by = [] }: Options): JobInput {
  if (input === undefined) {
    const without = Object.entries({ format, key, value, time, by: by[0] }).find(([, given]) => given !== undefined)
    if (without !== undefined) throw new UsageError(`--${without[0]} has a meaning with --input only`)
    return flightsInput()
  }
  if (key === undefined) throw new UsageError('--input needs --key: the column by which rows belong together')
  const columns = [key, ...by, ...(value === undefined ? [] : [value]), ...(time === undefined ? [] : [time])]
  const twice = columns.find((column, i) => columns.indexOf(column) !== i)
  if (twice !== undefined) throw new UsageError(`the column ${twice} is named twice`)
  const dotted = columns.find(column => column === '' || column.includes('.'))
  if (dotted !== undefined) throw new UsageError(`'${dotted}' is no column: a name without dots is wanted`)
  return fileInput(input, format, { key, by, ...(value === undefined ? {} : { value }), ...(time === undefined ? {} : { time }) })
}

async function run(folder: string, input: JobInput, rowsMax: number, steps: Steps): Promise<number> {
  const model = new Model(input)
  const topics = new TopicSteps(steps, model)
  const stores = new StoreSteps(steps, model)
  const jobs = new JobSteps(steps, model)
  let db: Database = await open(folder, openOptions)
  let bad: number
  try {
    bad = await topics.ingest(db, rowsMax)
    await topics.readBack(db)
    await stores.query(db)
    await stores.remove(db)
    await steps.time('close', async () => {
      await db.close()
      return 'the folder is free for another process'
    })
    await topics.countAndKill(folder)
    await steps.time('open again', async () => {
      db = await open(folder, openOptions)
      return 'what the killed process had committed is there'
    })
    await topics.resume(db)
    await stores.lookBack(db)
    await jobs.run(db)
    await topics.replay(db)
    await topics.compact(db, folder)
  } finally {
    await db.close()
  }
  await steps.run('verify every file', 1, async advance => {
    let share = 0
    const onProgress = ({ done, total }: { done: number; total: number }): void => {
      advance(done / total - share)
      share = done / total
    }
    const report = await verify(folder, { onProgress })
    if (!report.ok) throw new Error(`damaged: ${JSON.stringify(report.findings.filter(({ severity }) => severity === 'error'))}`)
    return { records: report.records, bytes: report.bytes, finding: 'no byte is wrong, after all of it' }
  })
  return bad
}

function newFolder(dir: string): string {
  try {
    return mkdtempSync(join(dir, 'varve-start-'))
  } catch (error) {
    throw new UsageError(`--dir ${dir}: no folder can be made there: ${(error as Error).message}`)
  }
}

async function main(): Promise<void> {
  const options = parsed()
  const input = inputOf(options)
  const folder = newFolder(options.dir)
  const steps = new Steps()
  const begun = performance.now()
  try {
    const bad = await run(folder, input, options.rows ?? Number.POSITIVE_INFINITY, steps)
    console.log(steps.table())
    const seconds = ((performance.now() - begun) / 1000).toFixed(1)
    console.log(`all in ${seconds} s; largest resident set: ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`)
    if (bad > 0) console.log(`${bad} bad lines of ${input.file} were left out`)
    if (options.keep === true) console.log(`kept: ${folder}`)
  } finally {
    if (options.keep !== true) rmSync(folder, { recursive: true, force: true })
  }
}

try {
  await main()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else if (error instanceof UsageError) {
    console.error(`error: ${error.message}\n(npm start -- --help tells what there is)`)
    process.exitCode = 2
  } else throw error
}

/**
 * `npm start`: three million real flights through the log, and the first of them through a store and a topic. Reads them from Parquet (and samples from
 * JSON), appends them durably to sixteen logs, reads everything back by offset and by time; puts a part into a store with two indexes, asks it by key,
 * range and index, cancels flights by transactions, follows the change feed in a process that is killed, verifies every file, opens again, resumes the
 * feed where it was, looks at the store as it was before; streams the same part through a topic of four partitions, whose group of two consumers is
 * killed and goes on with exact counts, replays it from a time and compacts it; and prints what each step found and took.
 *
 *   node dist/examples/flights.js [--dir folder] [--keep]
 *
 * The database lies in a new folder below `--dir` (default: the system's temporary folder), which is removed at the end unless `--keep`.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { verify } from '../engine/index.ts'
import { type Database, open } from '../index.ts'
import { checkByOffset, checkByTime, compare } from './flights/check.ts'
import { countParquetRows, type Flights, findFiles, readJson, readParquet } from './flights/data.ts'
import { Loader, logNames } from './flights/load.ts'
import { type LogModel, moments } from './flights/model.ts'
import { grouped, Steps } from './flights/steps.ts'
import { loadedFlights, StoreSteps } from './flights/store-steps.ts'
import { TopicSteps } from './flights/topic-steps.ts'

interface Source {
  readonly kind: string
  readonly rows: number
  readonly bytes: number
  readonly flights: AsyncIterable<Flights>
}

/** In all JSON files together. */
const jsonRows = 237_000

async function sources(): Promise<Source[]> {
  const { parquet, json } = findFiles()
  async function* readSamples(): AsyncGenerator<Flights> {
    for (const { path } of json) yield readJson(path)
  }
  return [
    { kind: 'Parquet', rows: await countParquetRows(parquet.path), bytes: parquet.bytes, flights: readParquet(parquet.path) },
    { kind: 'JSON', rows: jsonRows, bytes: json.reduce((sum, { bytes }) => sum + bytes, 0), flights: readSamples() },
  ]
}

/** Reading the source and appending take turns; each is timed apart and gets a row of its own. */
async function load(steps: Steps, loader: Loader, { kind, rows, bytes, flights }: Source): Promise<void> {
  await steps.run(`append ${kind} rows durably`, rows, async advance => {
    const bytesBefore = loader.bytes
    let records = 0
    let readMs = 0
    let appendMs = 0
    let begun = performance.now()
    const lap = (): number => -begun + (begun = performance.now())
    for await (const chunk of flights) {
      readMs += lap()
      await loader.append(chunk)
      appendMs += lap()
      records += chunk.times.length
      advance(chunk.times.length)
    }
    readMs += lap()
    await loader.finish()
    appendMs += lap()
    compare(`rows of ${kind}`, records, rows)
    steps.add(`read ${kind}`, readMs / 1000, records, bytes)
    const finding = `${grouped(records)} flights are in ${logNames.length} logs`
    return { records, bytes: loader.bytes - bytesBefore, seconds: appendMs / 1000, finding }
  })
}

async function readBack(steps: Steps, database: Database, models: readonly LogModel[]): Promise<void> {
  const logs = logNames.map(name => database.log(name))
  const records = models.reduce((sum, model) => sum + model.count, 0)
  await steps.run('read back by offset', records, async advance => {
    let bytes = 0
    for (const [i, log] of logs.entries()) bytes += checkByOffset(log, models[i] as LogModel, advance)
    return { records, bytes, finding: 'every record equals the source' }
  })
  const lookups = logs.length * moments.length
  await steps.run('look up by time', lookups, async advance => {
    for (const [i, log] of logs.entries()) advance(checkByTime(log, models[i] as LogModel))
    return { records: lookups, bytes: 0, finding: `the first flight of each of ${moments.length} days is where it must be` }
  })
}

async function verifyFiles(steps: Steps, folder: string): Promise<void> {
  await steps.run('verify every file', 1, async advance => {
    let share = 0
    const report = await verify(folder, {
      onProgress: ({ done, total }) => {
        advance(done / total - share)
        share = done / total
      },
    })
    if (!report.ok) throw new Error(`damaged: ${JSON.stringify(report.findings.filter(({ severity }) => severity === 'error'))}`)
    return { records: report.records, bytes: report.bytes, finding: 'no byte is wrong, after the kills' }
  })
}

async function run(folder: string, steps: Steps): Promise<void> {
  let database = await open(folder)
  try {
    await database.define(logNames.map(name => ({ name, kind: 'topic' })))
    const loader = new Loader(database)
    for (const source of await sources()) await load(steps, loader, source)
    await steps.time('write segments', async () => {
      await database.seal()
      return 'the logs lie in sealed files'
    })
    await readBack(steps, database, loader.models)

    const flights = await loadedFlights()
    const stores = new StoreSteps(steps, flights)
    const topics = new TopicSteps(steps, flights)
    await stores.load(database)
    await stores.query(database)
    await stores.cancel(database)
    await topics.send(database)
    await steps.time('close', async () => {
      await database.close()
      return 'the folder is free for another process'
    })
    await stores.followAndKill(folder)
    await topics.consumeAndKill(folder)
    await verifyFiles(steps, folder)
    await steps.time('open again', async () => {
      database = await open(folder)
      return 'what the killed process had acknowledged is there'
    })
    await stores.resume(database)
    await stores.lookBack(database)
    await topics.resume(database)
    await topics.replay(database)
    await topics.compact(database)
    for (const [i, name] of logNames.entries())
      compare(`${name}: end after reopening`, database.log(name).endOffset, loader.models[i]?.count)
  } finally {
    await database.close()
  }
}

const { values } = parseArgs({ options: { dir: { type: 'string', default: tmpdir() }, keep: { type: 'boolean', default: false } } })
const folder = mkdtempSync(join(values.dir, 'varve-flights-'))
const steps = new Steps()
try {
  await run(folder, steps)
  console.log(steps.table())
  console.log(`largest resident set: ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`)
  if (values.keep) console.log(`kept: ${folder}`)
} finally {
  if (!values.keep) rmSync(folder, { recursive: true, force: true })
}

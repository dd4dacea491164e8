/** `varve run`: a job of a module over a database, to stdout, a file or a store. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  Job,
  type JobHost,
  type RunReport,
  type RunStats,
  type Sink,
  toConsole,
  toStore,
  writeCsv,
  writeJsonl,
  writeParquet,
} from '../../compute/index.ts'
import type { Database } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { InputError } from '../input-error.ts'
import { formatBytes, plural, print, printJson, table } from '../output.ts'
import { withProgress } from '../progress.ts'
import { withDatabase } from '../stores.ts'

export interface RunJobOptions {
  readonly json: boolean
  /** JSON. */
  readonly args?: string | undefined
  readonly workers?: number | undefined
  readonly out?: string | undefined
  readonly force: boolean
  readonly store?: string | undefined
  readonly key: readonly string[]
  readonly replace: boolean
  readonly explain: boolean
  readonly stats: boolean
}

type AnyJob = Job<unknown, unknown>

export async function runJob(path: string, module: string, options: RunJobOptions): Promise<number> {
  const { json, store, out, key, explain, workers } = options
  if (store !== undefined && out !== undefined) throw new InputError('--store and --out cannot both be given')
  if (store !== undefined && key.length === 0) throw new InputError('--store needs --key: the fields that are the key')
  const args = parsed(options.args)
  const job = await loadJob(module)
  const ran = withDatabase(path, { create: false }, async db => {
    if (explain) {
      await print(`${job.explain(db as unknown as JobHost, args)}\n`)
      return exitCodes.ok
    }
    const sink = sinkOf(db, options)
    const report = await withProgress({ json, bytes: true }, async (bar, signal): Promise<RunReport> => {
      const onProgress = (done: number, total: number): void => bar.update(done, total, job.name)
      return await job.to(db as unknown as JobHost, sink, {
        args,
        signal,
        onProgress,
        ...(workers === undefined ? {} : { workers }),
      })
    })
    const stats = job.stats()
    if (options.stats && stats !== undefined) process.stderr.write(json ? `${JSON.stringify({ stats })}\n` : statsText(stats))
    const where = out ?? store
    if (json && where !== undefined) await printJson({ job: job.name, ...report })
    else if (where !== undefined) {
      const counted = Object.entries(report.counters).map(([name, count]) => `, ${name} ${count}`)
      await print(`${job.name}: ${plural(report.rows, 'row')} to ${where} in ${(report.ms / 1000).toFixed(1)} s${counted.join('')}\n`)
    }
    return exitCodes.ok
  })
  return await ran.catch((error: unknown) => {
    if (options.args !== undefined || !readsNothing(error)) throw error
    throw new InputError(`${job.name} failed, as a job does that needs --args: ${(error as Error).message}`)
  })
}

/** Whether a field of undefined was read, here or in a thread: of arguments that were not given, perhaps. */
function readsNothing(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return (error.name === 'TypeError' && error.message.includes('properties of undefined')) || readsNothing(error.cause)
}

/** Operators of a run, a line each, stage by stage from the end to the inputs. */
function statsText({ workers, ms, operators }: RunStats): string {
  const head = ['stage', 'tasks', 'rows in', 'rows out', 'read', 'ms', 'operator']
  const rows = operators.map(({ stage, tasks, rowsIn, rowsOut, bytesRead, ms: own, text }) => [
    stage,
    tasks,
    rowsIn,
    rowsOut,
    bytesRead === 0 ? '' : formatBytes(bytesRead),
    Math.round(own),
    text,
  ])
  return `${table([head, ...rows])}${(ms / 1000).toFixed(1)} s, ${workers === 0 ? 'in one thread' : plural(workers, 'worker thread')}\n`
}

function parsed(args: string | undefined): unknown {
  try {
    return args === undefined ? undefined : JSON.parse(args)
  } catch (error) {
    throw new InputError(`--args is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function loadJob(module: string): Promise<AnyJob> {
  let loaded: { readonly default?: unknown }
  try {
    loaded = (await import(pathToFileURL(resolve(module)).href)) as typeof loaded
  } catch (error) {
    const hint = /\.[cm]?ts$/.test(module) ? '; compile it to JavaScript first' : ''
    throw new InputError(`${module} cannot be loaded: ${error instanceof Error ? error.message : String(error)}${hint}`)
  }
  if (!(loaded.default instanceof Job)) throw new InputError(`${module} has no job as its default export; see docs/JOBS.md`)
  return loaded.default as AnyJob
}

function sinkOf(db: Database, { store, out, key, replace, force }: RunJobOptions): Sink<unknown> {
  if (store !== undefined) {
    const [first = ''] = key
    return toStore(db.store(store), { key: key.length === 1 ? first : key, mode: replace ? 'replace' : 'upsert' })
  }
  if (out === undefined) return toConsole()
  if (out.endsWith('.csv')) return writeCsv(out, { overwrite: force })
  if (out.endsWith('.parquet')) return writeParquet(out, { overwrite: force })
  if (out.endsWith('.jsonl')) return writeJsonl(out, { overwrite: force })
  throw new InputError(`--out must end in .jsonl, .csv or .parquet, got ${out}`)
}

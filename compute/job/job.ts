/**
 * Jobs: flows that worker threads can run although they have users' functions, since each thread loads them from the same module.
 *
 *   export default job(import.meta.url, 'delays', ({ store }) => store<Flight>('flights').filter(flight => flight.delay > 15).keyBy('origin').count())
 *
 * The function that defines the flow is called once in each thread, with stores and topics by name, and must build the same flow each time: a thread that has another module,
 * or another flow, refuses to work (DEFINITION_MISMATCH).
 */
import { type Store, VarveError } from '../../engine/index.ts'
import type { Topic } from '../../stream/index.ts'
import { type RunOptions, runFlow } from '../execute/run-flow.ts'
import type { Counters } from '../execute/run-inline.ts'
import type { StagedEnd } from '../execute/run-staged.ts'
import { checkFunction } from '../flow/arguments.ts'
import { Flow, flow } from '../flow/flow.ts'
import type { TopicInputOptions, TypedSource } from '../flow/input.ts'
import { Collect, ForEach } from '../operator/collect.ts'
import { explainPlan } from '../plan/explain.ts'
import type { RunStats } from '../plan/run-stats.ts'
import { type RunReport, runTo } from '../sink/run-to.ts'
import type { Sink } from '../sink/sink.ts'
import type { Source } from '../source/source.ts'

/** A database as jobs see it. */
export interface JobHost {
  /** Names of all stores. */
  storeNames(): string[]
  /** Names of all topics. */
  topicNames(): string[]
  /** A store by its name. */
  store(name: string): Store<never, never>
  /** A topic by its name. */
  topic(name: string): Topic<never, never>
}

/** What a job's flow is built from. */
export interface JobContext<Args = undefined> {
  /** Given to the run; JSON or what else `structuredClone` takes. */
  readonly args: Args
  /** Values of a store. NOT_FOUND when the database has none of this name. */
  store<V = unknown>(name: string): Flow<V>
  /** Values of a topic. NOT_FOUND when the database has none of this name. */
  topic<V = unknown>(name: string, options?: TopicInputOptions): Flow<V>
  /** Rows of a file, or of another source of `varve/compute`. */
  source<T>(source: TypedSource<T>): Flow<T>
}

/** How a job is run. */
export type JobOptions<Args> = RunOptions & ([Args] extends [undefined] ? { readonly args?: undefined } : { readonly args: Args })

/** A flow in a module of its own; see `job`. */
export class Job<T, Args = undefined> {
  readonly name: string
  /** Of the module. */
  readonly url: string
  readonly #define: (context: JobContext<Args>) => Flow<T>
  #stats: RunStats | undefined

  /** Use `job`. */
  constructor(url: string, name: string, define: (context: JobContext<Args>) => Flow<T>) {
    this.url = url
    this.name = name
    this.#define = define
  }

  /** The flow over the stores and topics of a database. One that goes on from it is an ordinary flow. */
  flow(db: JobHost, args: Args): Flow<T> {
    return this.build({
      args,
      store: <V>(name: string) => {
        if (!db.storeNames().includes(name)) throw missing('store', name)
        return flow(this.name, db.store(name)) as unknown as Flow<V>
      },
      topic: <V>(name: string, options?: TopicInputOptions) => {
        if (!db.topicNames().includes(name)) throw missing('topic', name)
        return flow(this.name, db.topic(name), options) as unknown as Flow<V>
      },
      source: <U>(source: TypedSource<U>) => flow(this.name, source),
    })
  }

  /** The flow as a thread builds it that has no database: stores and topics are names. */
  build(context: JobContext<Args>): Flow<T> {
    const built: unknown = this.#define(context)
    if (!(built instanceof Flow)) throw new TypeError(`job ${this.name} must return a flow, got ${String(built)}`)
    return built as Flow<T>
  }

  /** Runs the job; resolves with all its rows. */
  async toArray(db: JobHost, ...[options]: RunArguments<Args>): Promise<T[]> {
    const end = new Collect()
    await this.#run(db, end, options)
    return end.values as T[]
  }

  /** Runs the job; calls `call` for each row and waits for the promise that it may return. */
  async forEach(db: JobHost, call: (row: T) => unknown, ...[options]: RunArguments<Args>): Promise<void> {
    checkFunction(call, 'call')
    await this.#run(db, new ForEach(call as (row: unknown) => unknown), options)
  }

  /** Runs the job into a sink; see `Flow.to`. */
  async to(db: JobHost, sink: Sink<T>, ...[options]: RunArguments<Args>): Promise<RunReport> {
    return await runTo(sink, end => this.#run(db, end, options))
  }

  /** The plan as text; see `Flow.explain`. */
  explain(db: JobHost, args: Args): string {
    return explainPlan(this.flow(db, args).plan)
  }

  /** What the last run that succeeded did; see `Flow.stats`. */
  stats(): RunStats | undefined {
    return this.#stats
  }

  async #run(db: JobHost, end: StagedEnd, options: JobOptions<Args> | undefined): Promise<Counters> {
    const args = options?.args as Args
    const { plan } = this.flow(db, args)
    const { counters, stats } = await runFlow(this.name, plan, end, options ?? {}, { url: this.url, args })
    this.#stats = stats
    return counters
  }
}

/** Options are needed where the job has arguments. */
type RunArguments<Args> = [Args] extends [undefined] ? [options?: JobOptions<Args>] : [options: JobOptions<Args>]

/**
 * A job: `url` is `import.meta.url` of the module that has it as its default export, `define` builds its flow. TypeError for what is none.
 */
export function job<T, Args = undefined>(url: string, name: string, define: (context: JobContext<Args>) => Flow<T>): Job<T, Args> {
  if (typeof url !== 'string' || !URL.canParse(url)) throw new TypeError(`url must be import.meta.url, got ${String(url)}`)
  if (typeof name !== 'string' || name === '') throw new TypeError(`name must be a non-empty string, got ${String(name)}`)
  checkFunction(define, 'define')
  return new Job(url, name, define)
}

/** Stands for a source where only its name matters. */
export function namedSource(kind: string, name: string): Source {
  const notHere = (): never => {
    throw new VarveError('INVARIANT', 'a source without a database cannot be read')
  }
  return { kind, name, isPortable: true, bytes: undefined, split: notHere, open: notHere }
}

function missing(kind: string, name: string): VarveError {
  return new VarveError('NOT_FOUND', `there is no ${kind} ${name}`, { details: { [kind]: name } })
}

/**
 * What a workload of the benchmark of jobs is, and what one run of it yields. The table of all of them is `workloads.ts`; what each product does is in
 * `workloads/`, one file a kind of job.
 *
 * A *contestant* is one product doing the job over one form of the input with so many threads. All contestants of a workload must give the same answer,
 * which is compared outside the clock.
 */
import type { Sample, Size } from '../workload.ts'
import type { InputForm, InputName } from './inputs.ts'

/** 'short': a tenth of the usual. */
export type JobSize = Size | 'short'

export type Product = 'varve' | 'duckdb' | 'polars' | 'javascript'

/** What a job found, small and in one order. */
export type Answer = readonly unknown[]

/** Stops while a contestant does what does not count. */
export interface Stopwatch {
  pause(): void
  resume(): void
}

/** A contestant that has opened its input. */
export interface Started {
  /** The job: from the input at rest to a result in this program, or in files. */
  run(watch: Stopwatch): Promise<unknown>
  /** Of what `run` gave; not timed. */
  answer(result: unknown): Answer | Promise<Answer>
  close(): unknown
}

/** Where a contestant works. */
export interface Place {
  /** Folder or file of a form of the workload's input. */
  path(form: InputForm): string
  /** A folder of its own, for what it writes. */
  readonly own: string
  readonly parameters: InputParameters
  /** Of Varve: 0, the calling thread; else as many workers. */
  readonly threads: number
  readonly size: JobSize
}

/** How much input there is: rows, or bytes of text. */
export interface InputParameters {
  readonly [name: string]: number
}

export interface ContestantFacts {
  /** Unique in its workload: 'varve', 'varve 1 thread', 'duckdb csv'. */
  readonly name: string
  readonly product: Product
  /** Threads that it is given; a product's own count where that is not ours to say. */
  readonly threads: number
  /** What it reads, with codec: 'topic, msgpack', 'CSV', 'its own table'. */
  readonly reads: string
}

export interface Contestant extends ContestantFacts {
  /** Forms of the input that must be there. */
  readonly forms: readonly InputForm[]
  start(place: Place): Promise<Started>
}

/** Numbers that targets look at. */
export type JobMetric = 'rate' | 'megabytesPerSecond' | 'elapsedMs' | 'rssBytes'

/** What Varve is held to. Exactly one of the bounds is given. */
export interface JobTarget {
  readonly metric: JobMetric
  /** The contestant that is held to it. Default 'varve'. */
  readonly by?: string
  /** Divided by the metric of this contestant in the same round. */
  readonly of?: string
  readonly atLeast?: number
  readonly atMost?: number
}

export interface JobWorkloadFacts {
  /** Unique; what `--only` takes. */
  readonly name: string
  /** One line for people: the input and what is asked. */
  readonly what: string
  /** Flow of expressions, closures, MapReduce; what the rows are. */
  readonly mode: string
  /** Where the result goes. */
  readonly sink: string
  /** What `rate` counts. */
  readonly unit: string
  readonly targets: readonly JobTarget[]
  /** Runs only when it is named: it takes minutes, or fills the disk. */
  readonly onlyByName?: boolean
}

export interface JobWorkload extends JobWorkloadFacts {
  readonly input: InputName
  readonly parameters: { readonly [size in JobSize]: InputParameters }
  /** Units of one run. */
  readonly operations: (parameters: InputParameters) => number
  /** Bytes of one run, where MB/s mean something. Default: 0. */
  readonly bytes?: (parameters: InputParameters) => number
  readonly contestants: readonly Contestant[]
}

export interface JobSample extends Sample {
  /** Time of the first run in the process, which does not count. */
  readonly firstMs: number
  /** Processor time of a run, all threads of the process together: what a busy machine makes longer least. Of `cold-start` not that of the process that is started. */
  readonly cpuMs: number
  /** Runs of which `elapsedMs` is the median. */
  readonly runs: number
  readonly answer: Answer
}

/** All runs of one workload, as stored. */
export interface JobWorkloadResults extends JobWorkloadFacts {
  /** ISO 8601, when it began. */
  readonly date: string
  readonly rounds: number
  readonly used: InputParameters
  readonly runs: readonly (ContestantFacts & {
    /** One a round; a failed run has none. */
    readonly samples: readonly (JobSample | null)[]
  })[]
}

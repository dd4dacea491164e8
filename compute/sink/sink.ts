/**
 * Where the rows of a flow go. A sink is opened for one run, gets all rows, and is then committed or aborted: until it is committed nobody sees anything of them, as far as the sink's
 * guarantee goes.
 */
import type { Receiver } from '../operator/receiver.ts'

/** 'once': all rows or none, whatever happens; 'at-least-once': a run that failed may have given rows away already. */
export type SinkGuarantee = 'once' | 'at-least-once'

/** What a task has written of a sink's rows. */
export interface SinkPart {
  readonly file: string
  readonly rows: number
}

/** An output that tasks write in parts, a part each; nobody sees them before the sink commits. */
export interface SinkParts {
  /** Name of the writer of parts (`part-writers.ts`). */
  readonly writer: string
  /** What it has to know; structured-clonable. */
  readonly input: unknown
  /** The parts that count, in the order of their rows. Others were written by attempts that do not. */
  accept(parts: readonly SinkPart[]): void
}

/** The end of a flow in one run. */
export interface SinkWriter extends Receiver {
  /** Rows taken so far. */
  readonly rows: number
  /** How tasks in other threads write the rows themselves; undefined: all rows come to `receive`. */
  readonly parts?: SinkParts | undefined
  /** Makes the rows count. Resolves when they are durable. */
  commit(): Promise<void>
  /** The run failed: as if it had not been. */
  abort(): Promise<void>
}

/** Where rows of type `T` go; made by `toStore`, `toTopic`, `writeJsonl` and the others. */
export interface Sink<in T = never> {
  /** Only for the compiler. */
  readonly accepts?: (row: T) => void
  /** 'store', 'topic', 'jsonl', … */
  readonly kind: string
  /** As `explain()` and errors name it. */
  readonly name: string
  /** What a run that fails, or a process that dies, may leave. */
  readonly guarantee: SinkGuarantee
  /** Begins a run's output. */
  open(): SinkWriter | Promise<SinkWriter>
}

/** An area of the benchmark: logs and topics, stores, jobs. `main.ts` runs all of them; each has a program of its own for parts of it (`logs/main.ts` and so on). */
import type { Chart } from './report/chart.ts'
import type { Machine } from './report/machine.ts'
import type { TextTable } from './report/tables.ts'

export interface AreaOptions {
  /** Default: the area's. */
  readonly rounds?: number | undefined
  /** Less of everything: for a first look, in minutes. */
  readonly isShort: boolean
  /** Where folders are made for what is measured. */
  readonly dir: string
}

/** What every area's results have. */
export interface AreaResults {
  readonly machine: Machine
  /** ISO 8601, when the run began. */
  readonly date: string
}

export interface AreaRun<R> {
  readonly results: R
  /** One line each. */
  readonly failures: readonly string[]
}

export interface Area<R extends AreaResults = AreaResults> {
  readonly name: string
  readonly title: string
  /** Below the folder of results. */
  readonly markdownFile: string
  readonly resultsFile: string
  /** How many runs `run` reports progress of. */
  countRuns(options: AreaOptions): number
  /** `onProgress`: what begins, and how many runs are done. */
  run(options: AreaOptions, onProgress: (what: string, done: number) => void): Promise<AreaRun<R>>
  /** The area's own report. */
  markdown(results: R): string
  terminal(results: R): string
  /** For the page of all areas. */
  overview(results: R): TextTable
  targets(results: R): TextTable
  charts(results: R): readonly Chart[]
}

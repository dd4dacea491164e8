/** The tables of a report as plain cells; the terminal and JOBS.md draw the same cells. */
import type { TextTable } from '../../report/tables.ts'
import { count, fixed, megabytes, ratio, yesNo } from '../../report/units.ts'
import type { JobTarget, Product } from '../workload.ts'
import { fastestOf, type JobResults, type JobRow, judgeJobs, subject, summarizeJobs } from './summary.ts'

const peers: readonly Product[] = ['duckdb', 'polars', 'javascript']

/** Workloads down, products across, each with its fastest contestant. */
export function overviewTable(results: JobResults): TextTable {
  const rows = summarizeJobs(results)
  return {
    head: ['workload', 'varve', ...peers.flatMap(peer => [`fastest of ${peer}`, 'varve to it'])],
    rows: results.workloads.map(workload => {
      const of = (name: string | undefined): JobRow | undefined => rows.find(row => row.workload === workload && row.run.name === name)
      return [
        workload.name,
        speed(of(subject)),
        ...peers.flatMap(peer => {
          const row = of(fastestOf(workload, peer)?.name)
          return row === undefined ? ['–', '–'] : [`${speed(row)} (${row.run.reads})`, ratio(row.varveTimes)]
        }),
      ]
    }),
  }
}

export function detailTable(results: JobResults): TextTable {
  return {
    head: ['workload', 'contestant', 'threads', 'reads', 'speed', 'job', 'CPU', 'first run', 'RSS MB', 'varve to it'],
    rows: summarizeJobs(results).map(row => [
      row.workload.name,
      row.run.name,
      String(row.run.threads),
      row.run.reads,
      speed(row),
      milliseconds(row.elapsedMs),
      milliseconds(row.cpuMs),
      milliseconds(row.firstMs),
      megabytes(row.rssBytes),
      ratio(row.varveTimes),
    ]),
  }
}

export function targetTable(results: JobResults): TextTable {
  return {
    head: ['workload', 'target', 'measured', 'met'],
    rows: judgeJobs(results).map(({ name, target, measured, met }) => [name, targetWords(target), amount(target, measured), yesNo(met)]),
  }
}

/** As people read it: by bytes where these are what a job is about. */
export function speed(row: JobRow | undefined): string {
  if (row?.rate === undefined) return '–'
  if (row.megabytesPerSecond !== undefined) return `${fixed(row.megabytesPerSecond, 0)} MB/s`
  return row.workload.unit === 'starts' ? milliseconds(row.elapsedMs) : `${count(row.rate)} ${row.workload.unit}/s`
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? '–' : value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(value < 100 ? 1 : 0)} ms`
}

const metricWords: { readonly [metric in JobTarget['metric']]: string } = {
  rate: 'rate',
  megabytesPerSecond: 'speed',
  elapsedMs: 'time',
  rssBytes: 'RSS',
}

function targetWords(target: JobTarget): string {
  const bound = target.atLeast === undefined ? `<= ${amount(target, target.atMost)}` : `>= ${amount(target, target.atLeast)}`
  return `${target.by === undefined ? '' : `${target.by}: `}${metricWords[target.metric]} ${bound}${target.of === undefined ? '' : ` that of ${target.of}`}`
}

function amount({ metric, of }: JobTarget, value: number | undefined): string {
  if (of !== undefined) return ratio(value)
  switch (metric) {
    case 'rate':
      return `${count(value)}/s`
    case 'megabytesPerSecond':
      return `${fixed(value, 0)} MB/s`
    case 'elapsedMs':
      return milliseconds(value)
    case 'rssBytes':
      return `${megabytes(value)} MB`
  }
}

/** Logs and topics beside the bare disk and a queue in SQLite. */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Area } from '../area.ts'
import { describeMachine } from '../report/machine.ts'
import type { Size } from '../workload.ts'
import { comparisonTable, targetTable } from './report/cells.ts'
import { logCharts } from './report/charts.ts'
import { logsMarkdown } from './report/markdown.ts'
import type { LogResults } from './report/summary.ts'
import { logsTerminalReport } from './report/terminal.ts'
import { runAll, selectWorkloads } from './run.ts'
import type { Workload } from './workload.ts'
import { workloads } from './workloads.ts'

export const logRounds = 5

export interface LogsRunOptions {
  readonly selected: readonly Workload[]
  readonly rounds: number
  readonly size: Size
  readonly dir: string
  /** Called before anything runs; may throw. */
  readonly check?: (header: Pick<LogResults, 'machine' | 'size'>) => void
}

export async function runLogs(
  { selected, rounds, size, dir, check }: LogsRunOptions,
  onProgress: (what: string, done: number) => void,
): Promise<LogResults> {
  const folder = mkdtempSync(join(dir, 'varve-bench-'))
  try {
    const machine = describeMachine(folder)
    check?.({ machine, size })
    const date = new Date().toISOString()
    const samples = await runAll({
      workloads: selected,
      rounds,
      size,
      folder,
      onProgress: (name, round, done) => onProgress(`round ${round}: ${name}`, done),
    })
    return {
      machine,
      date,
      size,
      rounds,
      workloads: selected.map(({ parameters, run: _, ...facts }) => ({
        ...facts,
        used: parameters[size],
        samples: samples[facts.name] ?? [],
      })),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const usual = selectWorkloads(workloads, [])

export const logsArea: Area<LogResults> = {
  name: 'logs',
  title: 'Logs and topics',
  markdownFile: 'LOGS.md',
  resultsFile: 'logs/results.json',
  countRuns: ({ rounds, isShort }) => usual.length * roundsFor(rounds, isShort),
  run: async ({ rounds, isShort, dir }, onProgress) => ({
    results: await runLogs({ selected: usual, rounds: roundsFor(rounds, isShort), size: 'large', dir }, onProgress),
    failures: [],
  }),
  markdown: logsMarkdown,
  terminal: logsTerminalReport,
  overview: comparisonTable,
  targets: targetTable,
  charts: logCharts,
}

function roundsFor(rounds: number | undefined, isShort: boolean): number {
  return rounds ?? (isShort ? 1 : logRounds)
}

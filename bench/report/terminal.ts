/** What the terminal shows: a progress bar while running (stderr), tables at the end (stdout). */

import cliProgress from 'cli-progress'
import { resultTable, targetTable } from './cells.ts'
import type { Results } from './summary.ts'
import { terminalTable } from './tables.ts'

export interface Progress {
  /** `done` runs of the total are done, `label` begins. */
  update(done: number, label: string): void
  stop(): void
}

/** Draws on stderr, so that stdout can be piped; draws nothing where stderr is no terminal. */
export function startProgress(total: number): Progress {
  const bar = new cliProgress.SingleBar(
    { format: '{bar} {value}/{total} runs, {duration_formatted}  {label}', clearOnComplete: true, hideCursor: true },
    cliProgress.Presets.shades_classic,
  )
  bar.start(total, 0, { label: '' })
  return {
    update: (done, label) => bar.update(done, { label }),
    stop: () => bar.stop(),
  }
}

export function terminalReport(results: Results): string {
  return [resultTable(results), targetTable(results)].map(terminalTable).join('\n')
}

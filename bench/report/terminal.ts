/** What the terminal shows: a progress bar while running (stderr), tables at the end (stdout). */

import cliProgress from 'cli-progress'
import Table from 'cli-table3'
import { resultCells, resultHead, targetCells, targetHead } from './cells.ts'
import { judge, type Results, summarize } from './summary.ts'

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
  const draw = (head: readonly string[], rows: readonly string[][]): string => {
    const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } })
    table.push(...rows)
    return table.toString()
  }
  return `${draw(resultHead, summarize(results).map(resultCells))}\n${draw(targetHead, judge(results).map(targetCells))}`
}

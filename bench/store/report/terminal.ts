/** What the terminal shows at the end. The progress bar is that of the other benchmark. */

import Table from 'cli-table3'
import { detailTable, overviewTable, type StoreTable, targetTable } from './cells.ts'
import type { StoreResults } from './summary.ts'

export function storeTerminalReport(results: StoreResults): string {
  const missing = results.missing.map(({ name, reason }) => `${name} is left out: ${reason}`)
  return [draw(detailTable(results)), draw(overviewTable(results)), draw(targetTable(results)), ...missing].join('\n')
}

function draw({ head, rows }: StoreTable): string {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } })
  table.push(...rows)
  return table.toString()
}

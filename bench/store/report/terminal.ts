/** What the terminal shows at the end. The progress bar is that of the other benchmark. */

import { terminalTable } from '../../report/tables.ts'
import { detailTable, overviewTable, targetTable } from './cells.ts'
import type { StoreResults } from './summary.ts'

export function storeTerminalReport(results: StoreResults): string {
  const missing = results.missing.map(({ name, reason }) => `${name} is left out: ${reason}`)
  return [...[detailTable(results), overviewTable(results), targetTable(results)].map(terminalTable), ...missing].join('\n')
}

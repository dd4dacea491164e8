/** What the terminal shows at the end. The progress bar is that of the other benchmarks. */
import { terminalTable } from '../../report/tables.ts'
import { detailTable, targetTable } from './cells.ts'
import type { JobResults } from './summary.ts'

export function jobsTerminalReport(results: JobResults): string {
  const missing = results.missing.map(({ name, reason }) => `${name} is left out: ${reason}`)
  return [...[detailTable(results), targetTable(results)].map(terminalTable), ...missing].join('\n')
}

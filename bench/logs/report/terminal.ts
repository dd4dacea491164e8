/** What the terminal shows at the end. */
import { terminalTable } from '../../report/tables.ts'
import { resultTable, targetTable } from './cells.ts'
import type { LogResults } from './summary.ts'

export function logsTerminalReport(results: LogResults): string {
  return [resultTable(results), targetTable(results)].map(terminalTable).join('\n')
}

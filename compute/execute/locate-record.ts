/**
 * Where the record of a file lies that turned out to be none. Rows of JSON lines go through a job as the bytes that they are, and some are decoded only behind a sort or a join, or in the
 * thread that wants the result: there nobody knows any more where they came from. So that nothing has to be kept for each row, the files are read once more when that happens.
 */
import { isVarveError } from '../../engine/index.ts'
import { inputsOf, type PlanNode } from '../plan/node.ts'
import type { Source } from '../source/source.ts'

/** The error with file, line and position if it is of a record of a file and does not say so itself; other errors as they are. `soon` gives other work a turn. */
export async function withRecordPlace(
  error: unknown,
  plans: readonly PlanNode[],
  soon: (run: () => void) => void,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  if (!isVarveError(error, 'CORRUPT') || error.details.file !== undefined) return error
  try {
    for (const source of new Set(plans.flatMap(sourcesOf))) {
      for await (const _ of source.checkRecords?.() ?? []) {
        if (signal?.aborted === true) return error
        await new Promise<void>(soon)
      }
    }
  } catch (placed) {
    // What else goes wrong, as when a file is gone meanwhile, is not what ended the run.
    if (isVarveError(placed, 'CORRUPT')) return placed
  }
  return error
}

function sourcesOf(plan: PlanNode): Source[] {
  return plan.op === 'source' ? [plan.source] : inputsOf(plan).flatMap(sourcesOf)
}

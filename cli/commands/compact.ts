/** `varve compact <path>`: gives space back, and says how much. */
import { compact } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatBytes, plural, print, printJson } from '../output.ts'
import { withProgress } from '../progress.ts'

export async function runCompact(
  path: string,
  options: { readonly json: boolean; readonly logs: readonly string[] | undefined },
): Promise<number> {
  const report = await withProgress({ json: options.json, bytes: false }, (bar, signal) =>
    compact(path, { logs: options.logs, signal, onProgress: ({ done, total, step }) => bar.update(done, total, step) }),
  )
  if (options.json) await printJson(report)
  else {
    const { logs, segmentBytesBefore, segmentBytesAfter, segmentsBefore, segmentsAfter } = report
    const before = `${plural(segmentsBefore, 'segment')} of ${formatBytes(segmentBytesBefore)} before`
    const after = `${plural(segmentsAfter, 'segment')} of ${formatBytes(segmentBytesAfter)} after`
    await print(`${path}: ${plural(logs.length, 'log')} compacted; ${before}, ${after}\n`)
  }
  return exitCodes.ok
}

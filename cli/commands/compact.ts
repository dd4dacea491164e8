/** `varve compact <path>`: gives space back, and says how much; of a whole folder, or of topics by name. */
import { compact } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatBytes, plural, print, printJson, table } from '../output.ts'
import { withProgress } from '../progress.ts'
import { withDatabase } from '../stores.ts'
import { findTopic } from '../topics.ts'

export interface CompactVerbOptions {
  readonly json: boolean
  readonly logs: readonly string[] | undefined
  readonly topics: readonly string[] | undefined
}

export async function runCompact(path: string, options: CompactVerbOptions): Promise<number> {
  if (options.topics !== undefined) return await compactTopics(path, options.topics, options)
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

/** As `topic.compact()`: lags and the retention of deletes are those of each topic. */
function compactTopics(path: string, names: readonly string[], { json, logs }: CompactVerbOptions): Promise<number> {
  if (logs !== undefined) throw new RangeError('--logs and --topics exclude each other')
  return withDatabase(path, { create: false }, async db => {
    await db.seal()
    const topics: { topic: string; bytesBefore: number; bytesAfter: number }[] = []
    for (const name of names) {
      const topic = findTopic(db, name)
      const { sealedBytes: bytesBefore } = topic.stats()
      await topic.compact()
      topics.push({ topic: name, bytesBefore, bytesAfter: topic.stats().sealedBytes })
    }
    if (json) await printJson({ path, topics })
    else {
      const rows = topics.map(({ topic, bytesBefore, bytesAfter }) => [topic, formatBytes(bytesBefore), formatBytes(bytesAfter)])
      await print(table([['topic', 'before', 'after'], ...rows]))
    }
    return exitCodes.ok
  })
}

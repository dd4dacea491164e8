/** `varve stats <path>`: sizes of files and of logs of a closed database. */
import type { StatsReport } from '../../index.ts'
import { stats } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatBytes, plural, print, printJson, table } from '../output.ts'

export async function runStats(path: string, options: { readonly json: boolean }): Promise<number> {
  const report = await stats(path)
  if (options.json) await printJson(report)
  else await print(describe(report))
  return exitCodes.ok
}

function describe({ path, bytes, databaseId, createdMs, files, segments, commitLog, logs, stores }: StatsReport): string {
  const created = createdMs === 0 ? 'at an unknown time' : new Date(createdMs).toISOString()
  let text = `${path}: ${formatBytes(bytes)}, database ${databaseId}, created ${created}\n\n`
  text += table(Object.entries(files).map(([kind, { count, bytes: size }]) => [kind, count, formatBytes(size)]))
  text += `\n${plural(segments.count, 'segment')} with ${plural(segments.parts, 'part')}, ${formatBytes(segments.liveBytes)} of records\n`
  text += `commit log: ${plural(commitLog.frames, 'frame')} from LSN ${commitLog.flushLsn} to ${commitLog.endLsn}, sequence ${commitLog.sequence}, `
  text += `${commitLog.cleanClose ? 'closed cleanly' : 'not closed cleanly'}\n`
  if (logs.length === 0) return text
  const head = ['log', 'kind', 'start', 'end', 'parts', 'bytes', 'in tail', 'lost']
  const rows = logs.map(log => [
    log.name,
    log.kind,
    log.startOffset,
    log.endOffset,
    log.parts,
    formatBytes(log.partBytes),
    formatBytes(log.tailBytes),
    log.lost.map(([from, to]) => `${from}-${to - 1}`).join(' '),
  ])
  text += `\n${table([head, ...rows])}`
  if (stores.length === 0) return text
  const storeHead = ['store', 'keys', 'values', 'compression', 'about entries', 'bytes', 'space', 'runs by level']
  const storeRows = stores.map(({ name, keys, value, compression, entriesEstimate, bytes: size, spaceAmplification, levels }) => [
    name,
    keys,
    value,
    compression,
    entriesEstimate,
    formatBytes(size),
    `${spaceAmplification.toFixed(1)} x`,
    levels.map(({ level, runs, bytes: inLevel }) => `L${level}: ${runs} (${formatBytes(inLevel)})`).join(', '),
  ])
  return `${text}\n${table([storeHead, ...storeRows])}`
}

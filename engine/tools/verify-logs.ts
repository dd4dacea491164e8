/**
 * The logs as a whole: every offset from the log's start to where its tail begins lies in some part, no two parts claim the same one, the
 * structures of a store's values are all there, and the ranges that `repair` wrote down as lost are said once more, as warnings.
 */
import type { Catalog } from '../catalog/catalog.ts'
import { type LogTable, systemLogDefinition } from '../catalog/log-table.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { structureProblem } from '../store/value-structures.ts'
import { coverageOf, joinRanges, typesOf, withoutKnown } from './coverage.ts'
import { lostSlot, unpackRanges } from './system-log.ts'
import type { AddFinding } from './verify.ts'

export function verifyLogs(catalog: Catalog, logs: LogTable, manifest: Manifest, folder: string, add: AddFinding): void {
  const live = new Set([systemLogDefinition, ...catalog.definitions()])
  for (const definition of live) {
    const { id, name } = definition
    const log = logs.get(id)
    if (log === undefined) continue
    const known = joinRanges(unpackRanges(catalog.metadata(id).get(lostSlot)))
    const parts = manifest.partsOf(id)
    for (const type of typesOf(definition)) {
      const { holes, overlaps } = coverageOf(parts, type, log.trimmedTo, log.flushedEnd)
      for (const [from, to] of withoutKnown(holes, known)) {
        add('error', folder, undefined, `log ${name} (${id}): offsets ${from} to ${to - 1} are in no segment`)
      }
      for (const { path, message } of overlaps) add('error', path, undefined, `log ${name} (${id}): ${message}`)
    }
    const problem = structureProblem(catalog.metadata(id), name)
    if (problem !== undefined) add('error', folder, undefined, problem)
    for (const [from, to] of known) {
      if (to > log.trimmedTo)
        add('warning', folder, undefined, `log ${name} (${id}): offsets ${from} to ${to - 1} were lost before; repair wrote it down`)
    }
  }
  for (const { reader, row } of manifest.live()) {
    const { directory } = reader
    for (let part = 0; part < directory.partCount; part++) {
      const logId = directory.logId(part)
      if (!row.dropped.includes(part) && logId !== 0 && catalog.definition(logId) === undefined) {
        add('info', reader.path, directory.position(part), `part ${part} belongs to log ${logId}, which is not defined any more`)
      }
    }
  }
}

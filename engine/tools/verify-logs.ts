/**
 * The logs as a whole: every offset from the log's start to where its tail begins lies in some part, no two parts claim the same one, the
 * structures of a store's values are all there, and the ranges that `repair` wrote down as lost are said once more, as warnings.
 *
 * A piece that is missing from the bottom level of a store leaves no hole in the offsets, which its neighbours have too, but one in the keys. It is a warning, like
 * any loss that the database goes on with: the next merge over it closes it.
 */
import type { Catalog } from '../catalog/catalog.ts'
import { type LogTable, systemLogDefinition } from '../catalog/log-table.ts'
import type { Manifest } from '../catalog/manifest.ts'
import { isVarveError } from '../errors.ts'
import type { PartRef } from '../log/parts.ts'
import { type Region, regionsOf } from '../maintenance/bottom-level.ts'
import { PART_RUN } from '../segment/format.ts'
import type { KeyRange } from '../segment/key-range.ts'
import { structureProblem } from '../store/value-structures.ts'
import { coverageOf, joinRanges, typesOf, withoutKnown } from './coverage.ts'
import { lostSlot, unpackRanges } from './system-log.ts'
import type { AddFinding } from './verify.ts'

/** Of a key in a finding. */
const keyBytesShown = 32

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
    if (definition.kind === 'store') verifyBottom(parts, `log ${name} (${id})`, folder, add)
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

function verifyBottom(parts: readonly PartRef[], what: string, folder: string, add: AddFinding): void {
  const runs = parts.filter(({ type }) => type === PART_RUN)
  let regions: readonly Region[] | undefined
  try {
    regions = regionsOf(runs)
  } catch (error) {
    if (isVarveError(error)) return // an index that cannot be read was told with its segment
    throw error
  }
  if (regions === undefined) {
    add('warning', folder, undefined, `${what}: pieces of its bottom level overlap; the next merge puts them together`)
    return
  }
  for (const { piece, range } of regions) {
    if (piece === undefined) add('warning', folder, undefined, `${what}: no piece of its bottom level has the keys ${textOf(range)}`)
  }
}

function textOf({ from, to }: KeyRange): string {
  return `from ${from === undefined ? 'the first' : shortHex(from)} to ${to === undefined ? 'the last' : shortHex(to)}`
}

function shortHex(key: Uint8Array): string {
  const text = Buffer.from(key.buffer, key.byteOffset, Math.min(key.length, keyBytesShown)).toString('hex')
  return key.length > keyBytesShown ? `${text}…` : text
}

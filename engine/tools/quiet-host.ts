/** The host of logs that are only looked at: everything in memory counts as durable, and nothing can be written. */
import type { Catalog } from '../catalog/catalog.ts'
import type { Arena } from '../commit-log/arena.ts'
import { VarveError } from '../errors.ts'
import type { LogHost } from '../log/logical-log.ts'
import type { PartRef } from '../log/parts.ts'

export function unreachableHost(arenaOf: (number: number) => Arena, catalog: Catalog, partsOf: (logId: number) => PartRef[]): LogHost {
  const refuse = (): never => {
    throw new VarveError('READ_ONLY', 'this log is only looked at')
  }
  return {
    arenaOf,
    durableLsn: Number.MAX_SAFE_INTEGER,
    writtenLsn: Number.MAX_SAFE_INTEGER,
    poisoned: false,
    assertOpen: () => undefined,
    commit: refuse,
    metadataOf: id => catalog.metadata(id),
    cleanedTo: id => catalog.state(id)?.cleanedTo ?? 0,
    resetLog: refuse,
    partsOf: id => partsOf(id),
    watch: () => undefined,
    released: () => undefined,
    fail: () => undefined,
    place: () => undefined,
  }
}

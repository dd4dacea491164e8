/** Files in the folder that nothing names: leftovers of unfinished work, which the next opening sweeps, and files that are not ours. */
import type { Catalog } from '../catalog/catalog.ts'
import type { Chain, LogFile } from './commit-log-files.ts'
import type { Folder } from './folder.ts'
import type { AddFinding } from './verify.ts'

export function findUnnamed(
  folder: Folder,
  catalog: Catalog,
  chain: Chain,
  stagedSeen: ReadonlySet<number>,
  files: readonly LogFile[],
  viewReadable: boolean,
  add: AddFinding,
): void {
  for (const { number, path } of folder.segments) {
    if (catalog.segment(number) !== undefined) continue
    if (!viewReadable) add('warning', path, undefined, 'without the catalog nothing says whether this segment counts')
    else add('info', path, undefined, 'no row names this segment: left by an unfinished edit, or replaced; the next opening removes it')
  }
  const counted = new Set(chain.frames.map(({ file }) => file))
  if (chain.end !== undefined) counted.add(chain.end.file)
  for (const file of files) {
    if (!counted.has(file) && viewReadable) add('info', file.path, undefined, 'nothing in this file of the commit log counts')
  }
  for (const { number, path } of folder.staged) {
    if (!stagedSeen.has(number)) add('info', path, undefined, 'no commit names this staging file; the next opening removes it')
  }
  for (const path of folder.temporary) add('info', path, undefined, 'a file that was never finished; the next opening removes it')
  for (const path of folder.foreign) add('info', path, undefined, 'not a file of this database')
}

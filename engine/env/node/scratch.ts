/**
 * Folders for what is needed only as long as a process does something: in the system's temporary folder, nobody else's to read, each with a file `owner` that says whose it is. What
 * killed processes have left is found by that, and removed by whoever makes such a folder later.
 *
 * Only what certainly belongs to a process that does not run any more goes (`process-identity.ts`): never a folder of another user, nor one without a readable `owner`, which may be just being
 * made.
 */
import { promises as fs, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ioError } from '../../errors.ts'
import { nodeClock } from './clock.ts'
import { isAlive, ownIdentity, parseIdentity } from './process-identity.ts'

const ownerFile = 'owner'
const sweepEveryMs = 10 * 60 * 1000
/** When folders with a prefix were last looked through, by the prefix and the temporary folder. */
const sweptAt = new Map<string, number>()

/** Makes a folder; its maker removes it. Blocks the thread for a moment. IO, NO_SPACE, READ_ONLY. */
export function makeScratchFolder(prefix: string): string {
  const parent = tmpdir()
  let path: string | undefined
  try {
    path = mkdtempSync(join(parent, prefix))
    writeFileSync(join(path, ownerFile), JSON.stringify(ownIdentity()), { flag: 'wx' })
  } catch (error) {
    if (path !== undefined) rmSync(path, { recursive: true, force: true })
    throw ioError(error, path ?? parent, 'making a temporary folder')
  }
  const key = join(parent, prefix)
  const now = nodeClock.monotonic()
  const last = sweptAt.get(key)
  if (last === undefined || now - last > sweepEveryMs) {
    sweptAt.set(key, now)
    void sweepScratchFolders(prefix)
  }
  return path
}

/** Removes the folders of processes that are gone; resolves with their paths. What cannot be looked at or removed stays. */
export async function sweepScratchFolders(prefix: string): Promise<string[]> {
  const parent = tmpdir()
  const here = ownIdentity()
  const removed: string[] = []
  const names = await fs.readdir(parent).catch(() => [])
  for (const name of names.filter(name => name.startsWith(prefix))) {
    const path = join(parent, name)
    try {
      const { uid, isFolder } = await fs.lstat(path).then(stat => ({ uid: stat.uid, isFolder: stat.isDirectory() }))
      if (!isFolder || (process.getuid !== undefined && uid !== process.getuid())) continue
      const owner = parseIdentity(await fs.readFile(join(path, ownerFile), 'utf8'))
      if (owner === undefined || isAlive(owner, here)) continue
      await fs.rm(path, { recursive: true, force: true })
      removed.push(path)
    } catch {
      // Gone meanwhile, or not ours to read.
    }
  }
  return removed
}

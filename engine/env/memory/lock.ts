/**
 * Folder locks in memory. Nobody outside the environment can see its folders, so a table says all there is to say; the file that listings show is
 * for whoever looks at a folder.
 *
 * Invariant: a path is in the table exactly while a lock on it is held.
 */
import { VarveError } from '../../errors.ts'
import type { Files, FolderLock, LockOwner, Locks } from '../environment.ts'
import { ownIdentity } from '../node/process-identity.ts'

export class MemoryLocks implements Locks {
  readonly #files: Files
  readonly #held = new Map<string, FolderLock>()

  constructor(files: Files) {
    this.#files = files
  }

  async acquire(path: string): Promise<FolderLock> {
    const holder = this.#held.get(path)
    if (holder !== undefined) {
      const { owner } = holder
      throw new VarveError('LOCKED', `${path} is held by process ${owner.pid} on ${owner.host}`, { details: { file: path, owner } })
    }
    const owner = ownIdentity()
    this.#write(path, owner)
    const lock: FolderLock = {
      owner,
      check: async () => {
        if (this.#held.get(path) !== lock) throw new VarveError('CLOSED', `${path}: the lock was released`)
        if (this.#files.statSync(path) === undefined) this.#write(path, owner)
      },
      release: async () => {
        if (this.#held.get(path) !== lock) return
        this.#held.delete(path)
        if (this.#files.statSync(path) !== undefined) await this.#files.remove(path)
      },
    }
    this.#held.set(path, lock)
    return lock
  }

  #write(path: string, owner: LockOwner): void {
    const file = this.#files.openSync(path, 'create')
    file.writeSync(new TextEncoder().encode(`${JSON.stringify(owner)}\n`), 0)
    file.closeSync()
  }
}

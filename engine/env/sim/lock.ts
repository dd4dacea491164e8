/**
 * Folder locks in simulation. The lock file is a real file of the simulated disk, so listings show it and crashes leave or lose it;
 * whether its owner is alive is known exactly: a lock is held while the mount that took it lives and has not released it.
 */
import { VarveError } from '../../errors.ts'
import type { Clock, FolderLock, LockOwner, Locks } from '../environment.ts'
import type { SimDisk } from './disk.ts'
import type { SimFiles } from './files.ts'

interface Holder {
  readonly mount: SimFiles
  readonly owner: LockOwner
}

/** Who holds which lock file; processes on one disk see each other's. */
const holders = new WeakMap<SimDisk, Map<string, Holder>>()
/** Simulated processes so far, for their numbers. */
const processCounts = new WeakMap<SimDisk, number>()

export class SimLocks implements Locks {
  readonly #disk: SimDisk
  readonly #files: SimFiles
  readonly #clock: Clock
  readonly #pid: number

  constructor(disk: SimDisk, files: SimFiles, clock: Clock) {
    this.#disk = disk
    this.#files = files
    this.#clock = clock
    this.#pid = (processCounts.get(disk) ?? 0) + 1
    processCounts.set(disk, this.#pid)
  }

  async acquire(path: string): Promise<FolderLock> {
    const table = holders.get(this.#disk) ?? new Map<string, Holder>()
    holders.set(this.#disk, table)
    const owner: LockOwner = {
      pid: this.#pid,
      host: 'sim',
      bootId: 'sim',
      processStart: String(this.#pid),
      since: new Date(this.#clock.now()).toISOString(),
    }
    const mine: Holder = { mount: this.#files, owner }
    await this.#take(path, table, mine)
    return {
      owner,
      check: async () => {
        if (table.get(path) !== mine) throw new VarveError('CLOSED', `${path}: the lock was released`)
        if ((await this.#files.stat(path)) === undefined) await this.#take(path, table, mine)
      },
      release: async () => {
        if (table.get(path) !== mine) return
        table.delete(path)
        if (this.#files.statSync(path) !== undefined) await this.#files.remove(path)
      },
    }
  }

  async #take(path: string, table: Map<string, Holder>, mine: Holder): Promise<void> {
    const holder = table.get(path)
    if (holder !== undefined && holder !== mine && holder.mount.isAlive) {
      const { owner } = holder
      throw new VarveError('LOCKED', `${path} is held by process ${owner.pid} on ${owner.host}`, { details: { file: path, owner } })
    }
    table.set(path, mine)
    try {
      if (this.#files.statSync(path) !== undefined) this.#files.changeNow('remove', path)
      const file = await this.#files.open(path, 'create')
      await file.write(new TextEncoder().encode(`${JSON.stringify(mine.owner)}\n`), 0)
      await file.close()
    } catch (error) {
      table.delete(path)
      throw error
    }
  }
}

/**
 * Puts sealed frames on the disk, by the cheapest way that keeps the promise.
 *
 * A frame that must be durable goes through O_DSYNC where the system has it and nothing un-synced lies before it: one trip, one flush. Otherwise it
 * is written plainly and every file with un-synced bytes is synced, older ones included, since O_DSYNC covers its own range only. Owned by the
 * commit log, which writes one frame at a time and stops at the first error.
 */
import type { LogFile } from './file-pool.ts'

export class FrameOutput {
  /** Files with bytes that may not be on the disk. */
  readonly #unsynced = new Set<LogFile>()

  /** True when everything written so far is on the disk. */
  get isClean(): boolean {
    return this.#unsynced.size === 0
  }

  /** Resolves when the system has the bytes, and with `sync` when the disk has them and all before them. */
  async write(file: LogFile, bytes: Uint8Array, position: number, sync: boolean): Promise<void> {
    if (sync && this.#unsynced.size === 0 && file.dsync !== undefined) {
      await file.dsync.write(bytes, position)
      return
    }
    await file.plain.write(bytes, position)
    this.#mark(file)
    if (!sync) return
    for (const unsynced of this.#unsynced) await unsynced.plain.sync()
    this.#clear()
  }

  /** As `write`, blocking the thread. */
  writeSync(file: LogFile, bytes: Uint8Array, position: number, sync: boolean): void {
    if (sync && this.#unsynced.size === 0 && file.dsync !== undefined) {
      file.dsync.writeSync(bytes, position)
      return
    }
    file.plain.writeSync(bytes, position)
    this.#mark(file)
    if (!sync) return
    for (const unsynced of this.#unsynced) unsynced.plain.syncSync()
    this.#clear()
  }

  #mark(file: LogFile): void {
    file.unsynced = true
    this.#unsynced.add(file)
  }

  #clear(): void {
    for (const file of this.#unsynced) file.unsynced = false
    this.#unsynced.clear()
  }
}

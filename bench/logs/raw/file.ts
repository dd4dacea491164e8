/**
 * Files for the raw baselines: preallocated with zeros and synced, then opened so that each write is durable as it returns (O_DSYNC where the
 * system has it, write and fdatasync elsewhere). Callback API, as the engine's own files, so that both pay the same for a trip.
 */

import fs, { constants } from 'node:fs'
import { join } from 'node:path'

const pieceBytes = 1 << 20
const dsyncFlag = (constants as { O_DSYNC?: number }).O_DSYNC ?? 0

export class RawFile {
  readonly #fd: number

  /** A new file of `bytes` zeros. */
  constructor(folder: string, bytes: number) {
    const path = join(folder, 'raw.bin')
    const zeros = new Uint8Array(Math.min(pieceBytes, bytes))
    const fd = fs.openSync(path, 'wx')
    for (let at = 0; at < bytes; at += zeros.length) writeFully(fd, zeros.subarray(0, Math.min(zeros.length, bytes - at)), at)
    fs.fsyncSync(fd)
    fs.closeSync(fd)
    this.#fd = fs.openSync(path, constants.O_RDWR | dsyncFlag)
  }

  write(source: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.write(this.#fd, source, 0, source.length, position, (error, count) => {
        if (error !== null) reject(error)
        else if (count !== source.length) reject(new Error(`wrote ${count} of ${source.length} bytes`))
        else if (dsyncFlag !== 0) resolve()
        else fs.fdatasync(this.#fd, failure => (failure === null ? resolve() : reject(failure)))
      })
    })
  }

  writeSync(source: Uint8Array, position: number): void {
    writeFully(this.#fd, source, position)
    if (dsyncFlag === 0) fs.fdatasyncSync(this.#fd)
  }

  /** Fills `target` from `position` and returns how many bytes there were. */
  readSync(target: Uint8Array, position: number): number {
    return fs.readSync(this.#fd, target, 0, target.length, position)
  }

  close(): void {
    fs.closeSync(this.#fd)
  }
}

function writeFully(fd: number, source: Uint8Array, position: number): void {
  for (let done = 0; done < source.length; ) done += fs.writeSync(fd, source, done, source.length - done, position + done)
}

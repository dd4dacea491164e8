/**
 * One open file over a raw descriptor. Every transfer is one trip to libuv's thread pool through the callback API (a FileHandle costs
 * another promise and an object); short transfers are continued until all is done.
 *
 * Owner: whoever opened it, through `NodeFiles`.
 * Invariants:
 * - `#fd` is -1 after close, so that a late call fails with EBADF and never reaches another file that got the same number.
 * - `#pending` counts asynchronous calls in the system's hands; the descriptor is closed only at 0, for the same reason.
 * - Errors are the operating system's, with their `code`; callers wrap them (`ioError`) where they know what they were doing.
 */
import fs from 'node:fs'
import { assert } from '../../errors.ts'
import type { File } from '../environment.ts'

/** One system call transfers at most this; Linux stops at 2^31 - 4096, libuv takes 32-bit lengths. */
const transferBytesMax = 0x4000_0000

export class NodeFile implements File {
  readonly path: string
  readonly dsync: boolean
  #fd: number
  /** Asynchronous calls begun and not yet answered. Invariant: 0 whenever the descriptor is closed. */
  #pending = 0
  /** Set while `close` waits for `#pending` to fall to 0. */
  #idle: (() => void) | undefined

  constructor(path: string, fd: number, dsync: boolean) {
    assert(fd >= 0, 'an open file has a descriptor', fd)
    this.path = path
    this.dsync = dsync
    this.#fd = fd
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const fd = this.#begin()
      const size = target.length
      let done = 0
      const step = (error: NodeJS.ErrnoException | null, count: number): void => {
        done += count
        if (error !== null) this.#end(reject, error)
        else if (done === size || count === 0) this.#end(resolve, done)
        else fs.read(fd, target, done, Math.min(size - done, transferBytesMax), position + done, step)
      }
      if (size === 0) this.#end(resolve, 0)
      else fs.read(fd, target, 0, Math.min(size, transferBytesMax), position, step)
    })
  }

  readSync(target: Uint8Array, position: number, start: number = 0, end: number = target.length): number {
    const fd = this.#checkedFd()
    const size = end - start
    let done = 0
    while (done < size) {
      const count = fs.readSync(fd, target, start + done, Math.min(size - done, transferBytesMax), position + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  write(source: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const fd = this.#begin()
      const size = source.length
      let done = 0
      const step = (error: NodeJS.ErrnoException | null, count: number): void => {
        done += count
        if (error !== null) this.#end(reject, error)
        else if (done === size) this.#end(resolve, undefined)
        else if (count === 0) this.#end(reject, systemError('EIO', 'write made no progress', this.path))
        else fs.write(fd, source, done, Math.min(size - done, transferBytesMax), position + done, step)
      }
      if (size === 0) this.#end(resolve, undefined)
      else fs.write(fd, source, 0, Math.min(size, transferBytesMax), position, step)
    })
  }

  writeSync(source: Uint8Array, position: number): void {
    const fd = this.#checkedFd()
    let done = 0
    while (done < source.length) {
      const count = fs.writeSync(fd, source, done, Math.min(source.length - done, transferBytesMax), position + done)
      if (count === 0) throw systemError('EIO', 'write made no progress', this.path)
      done += count
    }
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#begin(), error => (error === null ? this.#end(resolve, undefined) : this.#end(reject, error)))
    })
  }

  syncSync(): void {
    fs.fdatasyncSync(this.#checkedFd())
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#begin(), (error, stats) => (error === null ? this.#end(resolve, stats.size) : this.#end(reject, error)))
    })
  }

  sizeSync(): number {
    return fs.fstatSync(this.#checkedFd()).size
  }

  truncate(size: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#begin(), size, error => (error === null ? this.#end(resolve, undefined) : this.#end(reject, error)))
    })
  }

  async close(): Promise<void> {
    const fd = this.#fd
    if (fd === -1) return
    this.#fd = -1
    if (this.#pending > 0) await new Promise<void>(resolve => (this.#idle = resolve))
    await new Promise<void>((resolve, reject) => fs.close(fd, error => (error ? reject(error) : resolve())))
  }

  closeSync(): void {
    const fd = this.#fd
    if (fd === -1) return
    assert(this.#pending === 0, 'a file is closed at once only when no asynchronous call is under way', this.#pending)
    this.#fd = -1
    fs.closeSync(fd)
  }

  #checkedFd(): number {
    if (this.#fd === -1) throw systemError('EBADF', 'the file is closed', this.path)
    return this.#fd
  }

  #begin(): number {
    const fd = this.#checkedFd()
    this.#pending++
    return fd
  }

  #end<T>(settle: (value: T) => void, value: T): void {
    assert(this.#pending > 0, 'every answer belongs to a call')
    this.#pending--
    if (this.#pending === 0 && this.#idle !== undefined) {
      this.#idle()
      this.#idle = undefined
    }
    settle(value)
  }
}

/** An error in the form of the operating system's, for conditions that we notice before it would. */
function systemError(code: string, message: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${message}, '${path}'`), { code, path })
}

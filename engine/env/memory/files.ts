/**
 * `Files` of a database in memory. A call takes effect when it is made. Asynchronous transfers and syncs answer in a later turn, as a disk's do:
 * a program that awaits one write after the other must leave timers and background work their turns.
 *
 * Owned by the memory environment; its tasks and its owner share one. Nothing is lost before the environment is, so every write is durable.
 */
import type { File, FileStat, Files, OpenMode, Timers } from '../environment.ts'
import type { MemoryContent } from './content.ts'
import { MemoryTree, memoryError } from './tree.ts'

export class MemoryFiles implements Files {
  readonly #tree = new MemoryTree()
  readonly #timers: Timers

  constructor(timers: Timers) {
    this.#timers = timers
  }

  async open(path: string, mode: OpenMode): Promise<File> {
    return this.openSync(path, mode)
  }

  openSync(path: string, mode: OpenMode): File {
    const content = mode === 'create' ? this.#tree.create(path) : this.#tree.file(path)
    return new MemoryFile(path, mode, content, this.#timers)
  }

  /** There are no links. */
  async resolve(path: string): Promise<string> {
    return path
  }

  async list(path: string): Promise<string[]> {
    return this.#tree.list(path)
  }

  listSync(path: string): string[] {
    return this.#tree.list(path)
  }

  async stat(path: string): Promise<FileStat | undefined> {
    return this.#tree.stat(path)
  }

  statSync(path: string): FileStat | undefined {
    return this.#tree.stat(path)
  }

  async makeDirectory(path: string): Promise<void> {
    this.#tree.makeDirectory(path)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#tree.rename(from, to)
  }

  async link(from: string, to: string): Promise<void> {
    this.#tree.link(from, to)
  }

  async remove(path: string): Promise<void> {
    this.#tree.remove(path)
  }

  async removeDirectory(path: string): Promise<void> {
    this.#tree.removeDirectory(path)
  }

  async syncDirectory(path: string): Promise<void> {
    this.#tree.assertFolder(path)
  }
}

class MemoryFile implements File {
  readonly path: string
  readonly dsync: boolean
  readonly #isWritable: boolean
  readonly #timers: Timers
  /** undefined once closed. */
  #content: MemoryContent | undefined

  constructor(path: string, mode: OpenMode, content: MemoryContent, timers: Timers) {
    this.path = path
    this.dsync = mode === 'write-dsync'
    this.#isWritable = mode !== 'read'
    this.#content = content
    this.#timers = timers
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#later(() => this.readSync(target, position))
  }

  readSync(target: Uint8Array, position: number, start: number = 0, end: number = target.length): number {
    return this.#open().read(target.subarray(start, end), position)
  }

  write(source: Uint8Array, position: number): Promise<void> {
    return this.#later(() => this.writeSync(source, position))
  }

  writeSync(source: Uint8Array, position: number): void {
    this.#openForWriting().write(source, position)
  }

  sync(): Promise<void> {
    return this.#later(() => this.syncSync())
  }

  syncSync(): void {
    this.#open()
  }

  async size(): Promise<number> {
    return this.sizeSync()
  }

  sizeSync(): number {
    return this.#open().size
  }

  async truncate(size: number): Promise<void> {
    this.#openForWriting().truncate(size)
  }

  async close(): Promise<void> {
    this.#content = undefined
  }

  closeSync(): void {
    this.#content = undefined
  }

  /** Does it now and answers in a later turn. */
  #later<T>(run: () => T): Promise<T> {
    return new Promise(resolve => {
      const value = run()
      this.#timers.soon(() => resolve(value))
    })
  }

  #open(): MemoryContent {
    if (this.#content === undefined) throw memoryError('EBADF', 'the file is closed', this.path)
    return this.#content
  }

  #openForWriting(): MemoryContent {
    const content = this.#open()
    if (!this.#isWritable) throw memoryError('EBADF', 'the file was opened for reading', this.path)
    return content
  }
}

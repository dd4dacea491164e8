/**
 * `Files` of one simulated process (or worker thread) over a `SimDisk`. Synchronous calls happen at once in virtual time; asynchronous
 * ones take effect and answer when their latency has passed, in whatever order the seed gives, and use the caller's buffer until then.
 *
 * A mount dies with its process: `isAlive` goes from true to false once, its handles are given back, and every later call is EBADF.
 */
import { assert } from '../../errors.ts'
import type { File, FileStat, Files, OpenMode } from '../environment.ts'
import type { SimDisk } from './disk.ts'
import { FileState } from './file-state.ts'
import { type DiskOperation, type OperationKind, type PreparedOperation, systemError } from './operation.ts'
import type { SimScheduler } from './scheduler.ts'

export class SimFiles implements Files {
  readonly #disk: SimDisk
  readonly #scheduler: SimScheduler
  readonly #deathHooks: (() => void)[] = []
  readonly #open = new Set<SimFile>()
  #isAlive = true

  constructor(disk: SimDisk, scheduler: SimScheduler) {
    this.#disk = disk
    this.#scheduler = scheduler
    disk.attach(this)
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  /** Calls `run` when the mount dies. */
  onDeath(run: () => void): void {
    this.#deathHooks.push(run)
  }

  /** For the disk. Idempotent. */
  die(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.#disk.detach(this)
    for (const file of [...this.#open]) file.closeSync()
    for (const run of this.#deathHooks) run()
  }

  open(path: string, mode: OpenMode): Promise<File> {
    return this.later({ kind: mode === 'create' ? 'create' : 'open', path }, made => this.#opened(path, mode, made))
  }

  openSync(path: string, mode: OpenMode): File {
    return this.now({ kind: mode === 'create' ? 'create' : 'open', path }, made => this.#opened(path, mode, made))
  }

  /** There are no links. */
  async resolve(path: string): Promise<string> {
    return path
  }

  list(path: string): Promise<string[]> {
    return this.later({ kind: 'list', path }, () => this.#names(path))
  }

  listSync(path: string): string[] {
    return this.now({ kind: 'list', path }, () => this.#names(path))
  }

  stat(path: string): Promise<FileStat | undefined> {
    return this.later({ kind: 'stat', path }, () => this.#stat(path))
  }

  statSync(path: string): FileStat | undefined {
    return this.now({ kind: 'stat', path }, () => this.#stat(path))
  }

  makeDirectory(path: string): Promise<void> {
    return this.#change('makeDirectory', path)
  }

  rename(from: string, to: string): Promise<void> {
    return this.#change('rename', from, to)
  }

  link(from: string, to: string): Promise<void> {
    return this.#change('link', from, to)
  }

  remove(path: string): Promise<void> {
    return this.#change('remove', path)
  }

  removeDirectory(path: string): Promise<void> {
    return this.#change('removeDirectory', path)
  }

  syncDirectory(path: string): Promise<void> {
    return this.#change('syncDirectory', path)
  }

  /** Changes names at once, as a native library in the same process would. */
  changeNow(kind: OperationKind, path: string): void {
    this.now({ kind, path }, () => undefined)
  }

  /** Runs an operation to its end. `answer` gets the file of a 'create'. */
  now<T>(operation: PreparedOperation, answer: (made: FileState | undefined) => T): T {
    return answer(this.#disk.complete(this.#disk.issue(this, operation)))
  }

  /** Issues an operation and completes it after its latency. Never settles when the process dies before. */
  later<T>(operation: PreparedOperation, answer: (made: FileState | undefined) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const wasAlive = this.#isAlive
      try {
        const issued = this.#disk.issue(this, operation)
        this.#scheduler.after(this.#disk.drawLatencyMs(operation) + issued.verdict.delayMs, () => {
          if (!this.#isAlive) return
          try {
            resolve(answer(this.#disk.complete(issued)))
          } catch (error) {
            reject(error)
          }
        })
      } catch (error) {
        // A process that a hook has killed in this very call hears no answer.
        if (this.#isAlive === wasAlive) reject(error)
      }
    })
  }

  forget(file: SimFile, state: FileState): void {
    if (!this.#open.delete(file)) return
    state.opens--
    this.#disk.release(state)
  }

  async #change(kind: OperationKind, path: string, to?: string): Promise<void> {
    await this.later(to === undefined ? { kind, path } : { kind, path, to }, () => undefined)
  }

  #opened(path: string, mode: OpenMode, made: FileState | undefined): File {
    const state = made ?? this.#disk.tree.file({ kind: 'open', path })
    state.opens++
    const file = new SimFile(this, path, mode, state)
    this.#open.add(file)
    return file
  }

  #names(path: string): string[] {
    return [...this.#disk.tree.folder({ kind: 'list', path }).names.keys()].sort()
  }

  #stat(path: string): FileStat | undefined {
    const node = this.#disk.tree.find(path)
    if (node === undefined) return undefined
    return node instanceof FileState ? { size: node.size, isDirectory: false } : { size: 0, isDirectory: true }
  }
}

class SimFile implements File {
  readonly path: string
  readonly dsync: boolean
  readonly #files: SimFiles
  readonly #writable: boolean
  readonly #state: FileState
  #isOpen = true
  /** Asynchronous calls under way; as on a real system the descriptor is given back after them. */
  #pending = 0

  constructor(files: SimFiles, path: string, mode: OpenMode, state: FileState) {
    this.#files = files
    this.path = path
    this.dsync = mode === 'write-dsync'
    this.#writable = mode !== 'read'
    this.#state = state
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#later(this.#reading(target, position), () => this.#state.read(target, position))
  }

  readSync(target: Uint8Array, position: number, start: number = 0, end: number = target.length): number {
    const part = target.subarray(start, end)
    return this.#now(this.#reading(part, position), () => this.#state.read(part, position))
  }

  write(source: Uint8Array, position: number): Promise<void> {
    return this.#later(this.#writing(source, position), () => undefined)
  }

  writeSync(source: Uint8Array, position: number): void {
    this.#now(this.#writing(source, position), () => undefined)
  }

  sync(): Promise<void> {
    return this.#later(this.#prepared('sync'), () => undefined)
  }

  syncSync(): void {
    this.#now(this.#prepared('sync'), () => undefined)
  }

  size(): Promise<number> {
    return this.#later(this.#prepared('stat'), () => this.#state.size)
  }

  sizeSync(): number {
    return this.#now(this.#prepared('stat'), () => this.#state.size)
  }

  truncate(size: number): Promise<void> {
    return this.#later({ ...this.#prepared('truncate'), size }, () => undefined)
  }

  async close(): Promise<void> {
    this.#isOpen = false
    if (this.#pending === 0) this.#files.forget(this, this.#state)
  }

  closeSync(): void {
    assert(
      this.#pending === 0 || !this.#files.isAlive,
      'a file is closed at once only when no asynchronous call is under way',
      this.#pending,
    )
    this.#isOpen = false
    this.#files.forget(this, this.#state)
  }

  #prepared(kind: OperationKind): PreparedOperation {
    return { kind, path: this.path, file: this.#state }
  }

  #reading(target: Uint8Array, position: number): PreparedOperation {
    return { kind: 'read', path: this.path, file: this.#state, bytes: target, position, size: target.length }
  }

  #writing(source: Uint8Array, position: number): PreparedOperation {
    const { path, dsync } = this
    return { kind: 'write', path, file: this.#state, bytes: source, position, size: source.length, ...(dsync ? { dsync } : {}) }
  }

  #check(operation: DiskOperation): void {
    const isAllowed = this.#writable || operation.kind === 'read' || operation.kind === 'stat' || operation.kind === 'sync'
    if (!this.#isOpen || !isAllowed) throw systemError('EBADF', operation)
  }

  #now<T>(operation: PreparedOperation, answer: () => T): T {
    this.#check(operation)
    return this.#files.now(operation, answer)
  }

  async #later<T>(operation: PreparedOperation, answer: () => T): Promise<T> {
    this.#check(operation)
    this.#pending++
    try {
      return await this.#files.later(operation, answer)
    } finally {
      this.#pending--
      if (!this.#isOpen && this.#pending === 0) this.#files.forget(this, this.#state)
    }
  }
}

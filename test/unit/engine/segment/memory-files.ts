/** Files in memory, for tests of code that reads and writes synchronously; bytes are open to damage. */
import type { File, FileStat, Files, OpenMode } from '../../../../engine/env/index.ts'

export class MemoryFiles implements Files {
  readonly contents: Map<string, Uint8Array> = new Map()
  /** System calls that read. */
  reads = 0
  openCount = 0
  syncs = 0

  openSync(path: string, mode: OpenMode): File {
    if (mode === 'create') this.contents.set(path, new Uint8Array(0))
    if (!this.contents.has(path)) throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
    this.openCount++
    return new MemoryFile(this, path)
  }

  async open(path: string, mode: OpenMode): Promise<File> {
    return this.openSync(path, mode)
  }

  listSync(): string[] {
    return [...this.contents.keys()].sort()
  }

  /** There are no links. */
  async resolve(path: string): Promise<string> {
    return path
  }

  async list(): Promise<string[]> {
    return this.listSync()
  }

  statSync(path: string): FileStat | undefined {
    const bytes = this.contents.get(path)
    return bytes === undefined ? undefined : { size: bytes.length, isDirectory: false }
  }

  async stat(path: string): Promise<FileStat | undefined> {
    return this.statSync(path)
  }

  async makeDirectory(): Promise<void> {}

  async rename(from: string, to: string): Promise<void> {
    this.contents.set(to, this.contents.get(from)!)
    this.contents.delete(from)
  }

  async link(from: string, to: string): Promise<void> {
    this.contents.set(to, this.contents.get(from)!)
  }

  async remove(path: string): Promise<void> {
    this.contents.delete(path)
  }

  async removeDirectory(): Promise<void> {}

  async syncDirectory(): Promise<void> {}
}

class MemoryFile implements File {
  readonly dsync = false
  readonly path: string
  readonly #files: MemoryFiles
  #isOpen = true

  constructor(files: MemoryFiles, path: string) {
    this.#files = files
    this.path = path
  }

  readSync(target: Uint8Array, position: number, start: number = 0, end: number = target.length): number {
    const bytes = this.#bytes()
    this.#files.reads++
    const size = Math.max(0, Math.min(bytes.length - position, end - start))
    target.set(bytes.subarray(position, position + size), start)
    return size
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    return this.readSync(target, position)
  }

  writeSync(source: Uint8Array, position: number): void {
    const bytes = this.#bytes()
    const end = position + source.length
    let target = bytes
    if (end > bytes.length) {
      target = end > bytes.buffer.byteLength ? new Uint8Array(new ArrayBuffer(end * 2), 0, end) : new Uint8Array(bytes.buffer, 0, end)
      if (target.buffer !== bytes.buffer) target.set(bytes)
      this.#files.contents.set(this.path, target)
    }
    target.set(source, position)
  }

  async write(source: Uint8Array, position: number): Promise<void> {
    this.writeSync(source, position)
  }

  syncSync(): void {
    this.#files.syncs++
  }

  async sync(): Promise<void> {
    this.syncSync()
  }

  sizeSync(): number {
    return this.#bytes().length
  }

  async size(): Promise<number> {
    return this.sizeSync()
  }

  async truncate(size: number): Promise<void> {
    this.#files.contents.set(this.path, this.#bytes().slice(0, size))
  }

  closeSync(): void {
    if (this.#isOpen) this.#files.openCount--
    this.#isOpen = false
  }

  async close(): Promise<void> {
    this.closeSync()
  }

  #bytes(): Uint8Array {
    if (!this.#isOpen) throw Object.assign(new Error('EBADF'), { code: 'EBADF' })
    return this.#files.contents.get(this.path)!
  }
}

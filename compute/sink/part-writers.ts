/** The writers of parts of sinks by their names, for threads that got one named by another. */
import { join } from 'node:path'
import type { Files } from '../../engine/index.ts'
import type { Receiver } from '../operator/receiver.ts'
import type { Chunk } from '../vector/chunk.ts'
import { openRowsFile, type RowsFile, type RowsFormat } from './rows-file.ts'
import type { SinkPart } from './sink.ts'

/** The end of a task that writes a part of a sink. */
export interface PartWriter extends Receiver {
  /** After `finish`. */
  readonly part: SinkPart
  /** Idempotent. */
  close(): void
}

/** Where parts go; `name` is of this task's attempt alone. */
type OpenPart = (input: unknown, name: string, files: Files) => PartWriter

export const partWriters: Readonly<Record<string, OpenPart>> = {
  file: (input, name, files) => {
    const { folder, format } = input as { readonly folder: string; readonly format: RowsFormat }
    return new FilePart(join(folder, name), format, files)
  },
}

class FilePart implements PartWriter {
  readonly isSated = false
  readonly #path: string
  readonly #file: RowsFile
  #rows = 0

  constructor(path: string, format: RowsFormat, files: Files) {
    this.#path = path
    this.#file = openRowsFile(format, path, files)
  }

  get part(): SinkPart {
    return { file: this.#path, rows: this.#rows }
  }

  receive(chunk: Chunk): void {
    this.#rows += chunk.count
    this.#file.write(chunk)
  }

  async finish(): Promise<void> {
    await this.#file.finish()
  }

  close(): void {
    this.#file.close()
  }
}

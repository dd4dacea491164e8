/** A part of a sort that did not fit into memory: rows in order, in blocks of a file, each with its keys. Written once, read once by the merge. */
import { damagedBytes, type File, type Files, xxh64Low32 } from '../../engine/index.ts'
import type { StoredBlock } from '../shuffle/exchange.ts'
import { decodeBlock, encodeBlock } from '../vector/block.ts'
import { allRows } from '../vector/chunk.ts'
import type { TextVector, Vector } from '../vector/vector.ts'

/** Writes sorted runs, one behind the other, to one file. */
export class RunFile {
  readonly #files: Files
  readonly #path: string
  #file: File | undefined
  #size = 0

  constructor(files: Files, path: string) {
    this.#files = files
    this.#path = path
  }

  /** Keys are bytes, kept as a vector of text is; rows are whole rows. */
  write(keys: TextVector, rows: Vector, count: number): StoredBlock {
    this.#file ??= this.#files.openSync(this.#path, 'create')
    const block = encodeBlock([keys, rows], allRows(count), 0, count)
    this.#file.writeSync(block, this.#size)
    const stored: StoredBlock = { position: this.#size, size: block.length, checksum: xxh64Low32(block, 0, block.length) }
    this.#size += block.length
    return stored
  }

  read({ position, size, checksum }: StoredBlock): ReturnType<typeof decodeBlock> {
    const block = new Uint8Array(size)
    const got = this.#file?.readSync(block, position)
    if (got !== size || xxh64Low32(block, 0, size) !== checksum) {
      throw damagedBytes(`a block of the job's file ${this.#path} is damaged`, position, { file: this.#path })
    }
    return decodeBlock(block)
  }

  close(): void {
    this.#file?.closeSync()
    this.#file = undefined
  }
}

/** Goes through a run. Invariant: `keys` and `rows` are of one block; `at` is a row of it until `isEnded`. */
export class RunCursor {
  keys!: TextVector
  rows!: Vector
  at = 0
  isEnded = false
  readonly #file: RunFile
  readonly #blocks: readonly StoredBlock[]
  #next = 0
  #count = 0

  constructor(file: RunFile, blocks: readonly StoredBlock[]) {
    this.#file = file
    this.#blocks = blocks
    this.#load()
  }

  step(): void {
    if (++this.at === this.#count) this.#load()
  }

  #load(): void {
    const block = this.#blocks[this.#next++]
    if (block === undefined) {
      this.isEnded = true
      return
    }
    const { count, vectors } = this.#file.read(block)
    ;[this.keys, this.rows] = vectors as [TextVector, Vector]
    this.#count = count
    this.at = 0
  }
}

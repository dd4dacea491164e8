/**
 * Words of texts and their numbers, by WebAssembly (`word-kernel-code.ts`). Whoever splits texts owns a kernel and lets texts into its memory, a window at a time; the words are a vector of
 * that memory, by which a table of values that is asked for their numbers finds the kernel, and lets it answer for the words that it has seen before.
 *
 * The kernel knows the numbers of one table at a time, of words up to 16 bytes and as many as fit the processor's cache; the rest it leaves to the table.
 * Kernels are a thread's, and go from one owner to the next (`takeWordKernel`, `giveBack`). There is none where the processor has no vectors, or orders bytes otherwise.
 */
import { assert } from '../../engine/index.ts'
import { TextVector } from '../vector/vector.ts'
import {
  assembleWordKernel,
  ENDS_AT,
  GROUPS_AT,
  KERNEL_TEXT_BYTES,
  KERNEL_WORDS_MAX,
  MASKS,
  MASKS_AT,
  MISSES_AT,
  RESUME_AT,
  SETS_AT,
  STARTS_AT,
  TEXT_AT,
} from './word-kernel-code.ts'

/** The part of WebAssembly used here; Node's type definitions leave it to the DOM library. */
declare const WebAssembly: {
  validate(bytes: Uint8Array<ArrayBuffer>): boolean
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  split(at: number, end: number, startsMax: number): number
  find(words: number): number
  keep(misses: number): number
}

/** Words begin in 64 bytes at most. */
const wordsOfStepMax = 32
/** Read beyond the last word. */
const slackBytes = 64

export class WordKernel {
  /** Where texts go, `KERNEL_TEXT_BYTES` of them. */
  readonly text: Uint8Array
  readonly #words: Int32Array
  readonly #ends: Int32Array
  readonly #groups: Int32Array
  readonly #misses: Int32Array
  readonly #sets: Uint8Array
  readonly #resume: Int32Array
  readonly #exports: Exports
  /** Whose numbers it knows. */
  #table: object | undefined
  /** The words that are in its memory. */
  #current: WordVector | undefined

  constructor(module: object) {
    const exports = new WebAssembly.Instance(module).exports as Exports
    const { buffer } = exports.memory
    new Uint8Array(buffer, MASKS_AT, MASKS.length).set(MASKS)
    this.#exports = exports
    this.text = new Uint8Array(buffer, TEXT_AT, KERNEL_TEXT_BYTES + slackBytes)
    this.#words = new Int32Array(buffer, STARTS_AT, KERNEL_WORDS_MAX)
    this.#ends = new Int32Array(buffer, ENDS_AT, KERNEL_WORDS_MAX)
    this.#groups = new Int32Array(buffer, GROUPS_AT, KERNEL_WORDS_MAX)
    this.#misses = new Int32Array(buffer, MISSES_AT, KERNEL_WORDS_MAX)
    this.#sets = new Uint8Array(buffer, SETS_AT, TEXT_AT - SETS_AT)
    this.#resume = new Int32Array(buffer, RESUME_AT, 1)
  }

  /** Where the last call of `split` stopped: at the end, or before a word. */
  get resumesAt(): number {
    return this.#resume[0] as number
  }

  /** Words in `text[at, end)`, as many as there is room for; they are in `words`. */
  split(at: number, end: number): number {
    this.#current = undefined
    return this.#exports.split(at, end, KERNEL_WORDS_MAX - wordsOfStepMax)
  }

  /** The words that were split last; valid until the next are. */
  words(count: number): WordVector {
    this.#current = new WordVector(this, this.text, this.#words.subarray(0, count), this.#ends.subarray(0, count))
    return this.#current
  }

  /**
   * `numbers[k]` becomes the number that the k-th of the words has in a table: `lookUp` says, and perhaps gives, those of words that are not known here, by their rows. A table never changes a
   * word's number.
   */
  number(
    words: WordVector,
    table: object,
    numbers: Int32Array,
    lookUp: (rows: Int32Array, count: number, found: Int32Array) => void,
  ): void {
    assert(words === this.#current, 'words are numbered before others are split', words.starts.length)
    const count = words.starts.length
    if (this.#table !== table) this.#sets.fill(0)
    this.#table = table
    const misses = this.#exports.find(count)
    if (misses > 0) {
      const [groups, rows] = [this.#groups, this.#misses]
      lookUp(rows, misses, numbers)
      for (let i = 0; i < misses; i++) groups[rows[i] as number] = numbers[i] as number
      this.#exports.keep(misses)
    }
    numbers.set(this.#groups.subarray(0, count))
  }

  /** Nobody uses it. */
  reset(): void {
    this.#table = undefined
    this.#current = undefined
  }
}

/** Words in the memory of a kernel, which it has split last. */
export class WordVector extends TextVector {
  readonly kernel: WordKernel

  constructor(kernel: WordKernel, bytes: Uint8Array, starts: Int32Array, ends: Int32Array) {
    super(bytes, starts, ends)
    this.kernel = kernel
  }
}

/** Compiled once in a thread; 'none': it cannot be. */
let compiled: object | 'none' | undefined
const spare: WordKernel[] = []
const sparesMax = 2

/** Undefined where there is none. */
export function takeWordKernel(): WordKernel | undefined {
  compiled ??= compile()
  return compiled === 'none' ? undefined : (spare.pop() ?? new WordKernel(compiled))
}

function compile(): object | 'none' {
  const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
  const bytes = assembleWordKernel()
  return isLittleEndian && WebAssembly.validate(bytes) ? new WebAssembly.Module(bytes) : 'none'
}

/** Whoever took it has no use for its words any more. */
export function giveBack(kernel: WordKernel): void {
  kernel.reset()
  if (spare.length < sparesMax) spare.push(kernel)
}

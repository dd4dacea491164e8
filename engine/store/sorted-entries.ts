/**
 * Entries in order of their keys, in chunks, so that putting one in its place and taking a range out cost little however many there are. Keys are texts,
 * see `overlay.ts`, which owns one.
 *
 * Invariant: no chunk is empty; within and between chunks keys ascend.
 */

interface Keyed {
  readonly text: string
}

/** A chunk that grew to twice this many is cut in two. */
const chunkSize = 256

export class SortedEntries<T extends Keyed> {
  #chunks: T[][] = []

  /** `entries`: each key once, in any order. */
  constructor(entries: Iterable<T>) {
    const sorted = [...entries].sort((left, right) => (left.text < right.text ? -1 : 1))
    for (let at = 0; at < sorted.length; at += chunkSize) this.#chunks.push(sorted.slice(at, at + chunkSize))
  }

  /** In the place of the entry with the same key, if there is one. */
  set(entry: T): void {
    const number = Math.max(0, this.#chunkOf(entry.text))
    const chunk = this.#chunks[number]
    if (chunk === undefined) {
      this.#chunks.push([entry])
      return
    }
    const at = lowerBound(chunk, entry.text)
    chunk.splice(at, chunk[at]?.text === entry.text ? 1 : 0, entry)
    if (chunk.length >= 2 * chunkSize) this.#chunks.splice(number + 1, 0, chunk.splice(chunkSize))
  }

  /** Takes out the entries from `start`, inclusive, to `end`, exclusive. */
  remove(start: string, end: string | undefined): T[] {
    const removed: T[] = []
    const first = Math.max(0, this.#chunkOf(start))
    let number = first
    for (; number < this.#chunks.length; number++) {
      const chunk = this.#chunks[number] as T[]
      const from = number === first ? lowerBound(chunk, start) : 0
      const to = end === undefined ? chunk.length : lowerBound(chunk, end)
      for (const entry of chunk.splice(from, to - from)) removed.push(entry)
      // What is left behind the range ends it.
      if (chunk.length > from) break
    }
    const touched = this.#chunks.slice(first, number + 1)
    if (touched.some(chunk => chunk.length === 0)) this.#chunks.splice(first, touched.length, ...touched.filter(chunk => chunk.length > 0))
    return removed
  }

  /** Entries from `start`, inclusive, to `end`, exclusive, in order. The caller's own array. */
  slice(start: string | undefined, end: string | undefined): T[] {
    const found: T[] = []
    const first = start === undefined ? 0 : Math.max(0, this.#chunkOf(start))
    for (let number = first; number < this.#chunks.length; number++) {
      const chunk = this.#chunks[number] as T[]
      const from = number === first && start !== undefined ? lowerBound(chunk, start) : 0
      const to = end === undefined ? chunk.length : lowerBound(chunk, end)
      for (let at = from; at < to; at++) found.push(chunk[at] as T)
      if (to < chunk.length) break
    }
    return found
  }

  /** The last chunk that begins at the key or below it; -1: none. */
  #chunkOf(text: string): number {
    let from = 0
    let to = this.#chunks.length
    while (from < to) {
      const middle = (from + to) >>> 1
      if (((this.#chunks[middle] as T[])[0] as T).text <= text) from = middle + 1
      else to = middle
    }
    return from - 1
  }
}

function lowerBound(sorted: readonly Keyed[], text: string): number {
  let from = 0
  let to = sorted.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if ((sorted[middle] as Keyed).text < text) from = middle + 1
    else to = middle
  }
  return from
}

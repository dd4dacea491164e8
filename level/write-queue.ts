/**
 * Keeps writes that nobody awaits within bounds. abstract-level has no word for "too much": programs written for it call `put` as often as they
 * like, while the engine refuses with BUSY beyond its bounds. So at most `bytesMax` bytes are under way at once, and what comes meanwhile waits
 * here, in order.
 *
 * Owned by one open `VarveLevel`. Invariant: writes reach the store in the order of their calls.
 */
import { isVarveError } from '../engine/index.ts'

interface Waiting {
  readonly bytes: number
  readonly start: () => void
}

export class WriteQueue {
  readonly #bytesMax: number
  readonly #drain: () => Promise<void>
  /** Bytes of writes that the store has and did not acknowledge. */
  #bytes = 0
  /** Writes that the store has, or refused and will be given again. */
  #underWay = 0
  /** Of those, refused ones. */
  #refused = 0
  #waiting: Waiting[] = []
  #idle: (() => void)[] = []

  /** `drain` resolves when the engine takes writes again. */
  constructor(bytesMax: number, drain: () => Promise<void>) {
    this.#bytesMax = bytesMax
    this.#drain = drain
  }

  /** Runs `write` now, or when those before it have left room for `bytes`. */
  run(bytes: number, write: () => Promise<void>): Promise<void> {
    if (this.#waiting.length === 0 && this.#hasRoom(bytes)) return this.#start(bytes, write)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ bytes, start: () => this.#start(bytes, write).then(resolve, reject) })
    })
  }

  /** Resolves when nothing is under way and nothing waits. */
  async idle(): Promise<void> {
    while (this.#underWay > 0) await new Promise<void>(resolve => this.#idle.push(resolve))
  }

  #hasRoom(bytes: number): boolean {
    return this.#underWay === 0 || (this.#refused === 0 && this.#bytes + bytes <= this.#bytesMax)
  }

  async #start(bytes: number, write: () => Promise<void>): Promise<void> {
    this.#bytes += bytes
    this.#underWay++
    try {
      await write().catch(error => this.#again(error, write))
    } finally {
      this.#bytes -= bytes
      this.#underWay--
      this.#next()
    }
  }

  /** The bound above is well below the engine's, but background work may have fallen behind. */
  async #again(error: unknown, write: () => Promise<void>): Promise<void> {
    if (!isVarveError(error, 'BUSY')) throw error
    this.#refused++
    try {
      await this.#drain()
    } finally {
      this.#refused--
    }
    return write().catch(again => this.#again(again, write))
  }

  #next(): void {
    let count = 0
    for (const { bytes, start } of this.#waiting) {
      if (!this.#hasRoom(bytes)) break
      count++
      start()
    }
    if (count > 0) this.#waiting.splice(0, count)
    if (this.#underWay === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }
}

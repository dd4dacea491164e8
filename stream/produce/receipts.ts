/**
 * The promises of the records of one batch, made as the records come and kept together. Records that wait for the disk are what the garbage collector copies, so a
 * record has no functions of its own: those that are told at once share one promise, of all their answers, and each takes its own out by a function that all batches share.
 */
import { TOLD_AT_ONCE } from './acknowledgements.ts'
import type { Sent } from './outgoing.ts'

type Answers = readonly Sent[]

interface Shared {
  readonly promise: Promise<Answers>
  readonly resolve: (answers: Answers) => void
  readonly reject: (error: unknown) => void
}

const takers = Array.from(
  { length: TOLD_AT_ONCE },
  (_, i) =>
    (answers: Answers): Sent =>
      answers[i] as Sent,
)

export class Receipts {
  /** Of each `TOLD_AT_ONCE` records, the last of fewer. */
  readonly #shared: Shared[] = []
  #count = 0

  /** Promises that were made. */
  get count(): number {
    return this.#count
  }

  /** The promise of the next record. */
  next(): Promise<Sent> {
    const at = this.#count++ % TOLD_AT_ONCE
    if (at === 0) this.#shared.push(newShared())
    const { promise } = this.#shared[this.#shared.length - 1] as Shared
    return promise.then(takers[at])
  }

  /** Resolves the records of `[from, to)`: those that are told at once. */
  resolve(from: number, to: number, sentOf: (record: number) => Sent): void {
    const answers: Sent[] = []
    for (let record = from; record < to; record++) answers.push(sentOf(record))
    this.#shared[from / TOLD_AT_ONCE]?.resolve(answers)
  }

  reject(error: unknown): void {
    for (const shared of this.#shared) shared.reject(error)
  }
}

function newShared(): Shared {
  let resolve: Shared['resolve'] = () => undefined
  let reject: Shared['reject'] = () => undefined
  const promise = new Promise<Answers>((onAnswers, onError) => {
    resolve = onAnswers
    reject = onError
  })
  return { promise, resolve, reject }
}

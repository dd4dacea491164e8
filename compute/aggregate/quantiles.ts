/** Quantiles of numbers; how exact they are is said in `digest.ts`. Bigints count as doubles, other values are passed over; null of none. */
import { AnyVector, type Vector } from '../vector/vector.ts'
import { type Aggregator, numberAt } from './aggregator.ts'
import { Digest } from './digest.ts'

export class Quantiles implements Aggregator {
  readonly #fractions: readonly number[]
  /** Whether the result is a list. */
  readonly #isList: boolean
  readonly #digests: Digest[] = []
  /** Of all digests. */
  #bytes = 0

  constructor(fractions: readonly number[], isList: boolean) {
    this.#fractions = fractions
    this.#isList = isList
  }

  get bytes(): number {
    return this.#bytes
  }

  reserve(groups: number): void {
    while (this.#digests.length < groups) {
      const digest = new Digest()
      this.#digests.push(digest)
      this.#bytes += digest.bytes
    }
  }

  add([input]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    if (input === undefined) return
    for (let k = 0; k < count; k++) {
      const value = numberAt(input, rows[k] as number)
      if (value !== undefined) this.#bytes += (this.#digests[groups[k] as number] as Digest).add(value)
    }
  }

  states(from: number, to: number): Vector[] {
    return [new AnyVector(this.#digests.slice(from, to).map(digest => digest.state()))]
  }

  merge([state]: readonly Vector[], rows: Int32Array, count: number, groups: Int32Array): void {
    for (let k = 0; k < count; k++)
      (this.#digests[groups[k] as number] as Digest).merge((state as Vector).get(rows[k] as number) as Uint8Array)
  }

  results(from: number, to: number): Vector {
    const results = this.#digests.slice(from, to).map(digest => {
      const values = this.#fractions.map(fraction => digest.quantile(fraction))
      return this.#isList ? (values.includes(undefined) ? null : values) : (values[0] ?? null)
    })
    return new AnyVector(results)
  }
}

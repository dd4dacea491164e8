/**
 * As much of tape's interface as abstract-level's suite uses, without its 140 packages: tests run one after another in the order of their making,
 * each assertion counts, and nothing throws. A test ends when its promise settles, when `end` is called, or when its plan is met; a plan that is not
 * met, an assertion after the end and a thrown error are failures.
 */
import { isDeepStrictEqual } from 'node:util'

export interface Failure {
  readonly test: string
  readonly message: string
  readonly actual?: unknown
  readonly expected?: unknown
}

type Body = (t: Assertions) => unknown

export class Tape {
  /** Assertions that held. */
  passes = 0
  readonly failures: Failure[] = []
  readonly #tests: { readonly name: string; readonly body: Body }[] = []

  /** What the suite is given as `test`. */
  readonly test: ((name: string, body: Body) => void) & { skip(name: string): void } = Object.assign(
    (name: string, body: Body) => {
      this.#tests.push({ name, body })
    },
    { skip: () => undefined },
  )

  /** Number of tests. */
  get count(): number {
    return this.#tests.length
  }

  async run(): Promise<void> {
    for (const { name, body } of this.#tests) await new Assertions(name, this).run(body)
  }
}

class Assertions {
  readonly #name: string
  readonly #tape: Tape
  #count = 0
  #plan: number | undefined
  #ended = false
  #end: () => void = () => undefined

  constructor(name: string, tape: Tape) {
    this.#name = name
    this.#tape = tape
  }

  async run(body: Body): Promise<void> {
    const ended = new Promise<void>(resolve => {
      this.#end = resolve
    })
    try {
      const returned = body(this)
      // A promise decides; without one, `end` or the plan does.
      await (typeof (returned as PromiseLike<unknown> | undefined)?.then === 'function' ? returned : ended)
    } catch (error) {
      this.#tape.failures.push({ test: this.#name, message: String((error as Error)?.stack ?? error) })
    }
    this.#ended = true
    if (this.#plan !== undefined && this.#plan !== this.#count)
      this.#tape.failures.push({ test: this.#name, message: 'plan != count', actual: this.#count, expected: this.#plan })
  }

  plan(count: number): void {
    this.#plan = count
  }

  end(): void {
    this.#end()
  }

  pass(message?: string): void {
    this.#check(true, message)
  }

  fail(message?: unknown): void {
    this.#check(false, String(message ?? 'fail'))
  }

  ok(value: unknown, message?: string): void {
    this.#check(Boolean(value), message, value, true)
  }

  is(actual: unknown, expected: unknown, message?: string): void {
    this.#check(Object.is(actual, expected), message, actual, expected)
  }

  isNot(actual: unknown, expected: unknown, message?: string): void {
    this.#check(!Object.is(actual, expected), message, actual, expected)
  }

  same(actual: unknown, expected: unknown, message?: string): void {
    this.#check(isDeepStrictEqual(actual, expected), message, actual, expected)
  }

  throws(run: () => unknown, expected?: ((error: unknown) => boolean) | RegExp, message?: string): void {
    try {
      run()
    } catch (error) {
      const isRight = expected === undefined || (typeof expected === 'function' ? expected(error) : expected.test(String(error)))
      this.#check(isRight, message ?? 'throws', error, expected)
      return
    }
    this.#check(false, message ?? 'throws')
  }

  doesNotThrow(run: () => unknown, message?: string): void {
    try {
      run()
      this.#check(true, message)
    } catch (error) {
      this.#check(false, message ?? 'does not throw', error)
    }
  }

  #check(holds: boolean, message: string = 'assertion', actual?: unknown, expected?: unknown): void {
    this.#count++
    if (this.#ended) this.#tape.failures.push({ test: this.#name, message: `after the end: ${message}` })
    else if (holds) this.#tape.passes++
    else this.#tape.failures.push({ test: this.#name, message, actual, expected })
    if (this.#count === this.#plan) this.#end()
  }
}

/**
 * The loop of a soak: cases by number until a count or a time is reached, failures with what repeats them, and one last line
 * `N passed, N failed`. Arguments: --seed, --count, --seconds; the exit code is 1 when a case failed.
 */
import { parseArgs } from 'node:util'

export interface SoakOptions {
  readonly seed: number
  /** Cases at most. */
  readonly count: number
  readonly seconds: number
}

/** Runs case `number` and returns what went wrong, one line each; `weight` cases are counted when it made many in one. */
export type SoakCase = (
  number: number,
) => Promise<{ readonly problems: readonly string[]; readonly weight?: number; readonly repeat: string }>

const problemsShownMax = 20

export function soakOptions(count: number, args: string[] = process.argv.slice(2)): SoakOptions {
  const { values } = parseArgs({
    args,
    options: { seed: { type: 'string' }, count: { type: 'string' }, seconds: { type: 'string' } },
  })
  const numberOf = (name: 'seed' | 'count' | 'seconds', fallback: number): number => {
    const text = values[name]
    const value = text === undefined ? fallback : Number(text)
    if (Number.isNaN(value) || value < 0) throw new RangeError(`--${name} must be a number, got ${text}`)
    return value
  }
  return { seed: numberOf('seed', 1), count: numberOf('count', count), seconds: numberOf('seconds', Number.POSITIVE_INFINITY) }
}

export async function soak(options: SoakOptions, total: number, run: SoakCase): Promise<void> {
  const endsAt = performance.now() + options.seconds * 1000
  let passed = 0
  let failed = 0
  let shown = 0
  let saidAt = performance.now()
  for (let number = 0; number < total && passed + failed < options.count && performance.now() < endsAt; number++) {
    const { problems, weight = 1, repeat } = await run(number)
    failed += problems.length
    passed += Math.max(0, weight - problems.length)
    for (const problem of problems) if (shown++ < problemsShownMax) console.log(`FAILED ${repeat}\n  ${problem}`)
    if (performance.now() - saidAt > 10_000) {
      saidAt = performance.now()
      console.log(`… ${passed + failed} of ${Math.min(total, options.count)}`)
    }
  }
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}

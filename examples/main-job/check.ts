/** What every step of the main job compares with. */

export function compare(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)}, expected ${String(expected)}`)
}

/** Sums of decimals differ in the last digits by the order of their terms. */
export function compareNumbers(what: string, actual: number | null | undefined, expected: number | null): void {
  if (typeof actual === 'number' && typeof expected === 'number' && Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected)))
    return
  compare(what, actual, expected)
}

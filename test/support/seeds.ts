/** Tests over seeds: some at a time in one test, or the one that VARVE_SEED names alone, as a failure prints it. */
import { expect, it } from 'vitest'

const timeoutMs = 120_000

/** The seed in VARVE_SEED; undefined: none. */
export const onlySeed: number | undefined = process.env.VARVE_SEED === undefined ? undefined : Number(process.env.VARVE_SEED)

export interface Seeds<R> {
  /** Default 1. */
  readonly groups?: number
  /** Default 1. */
  readonly perGroup?: number
  /** Throws an Error with the seed when something is wrong. */
  readonly run: (seed: number) => Promise<R>
  /** What the reports of a group must show, so that its silence means something. */
  readonly check: (reports: readonly R[]) => void
}

/** Makes a test of each group of seeds, from 1 on; or of the one seed. */
export function testSeeds<R>({ groups = 1, perGroup = 1, run, check }: Seeds<R>): void {
  if (onlySeed !== undefined) {
    const seed = onlySeed
    it(`seed ${seed}`, async () => expect(await run(seed)).toBeDefined(), timeoutMs)
    return
  }
  for (let group = 0; group < groups; group++) {
    const first = 1 + group * perGroup
    const name = perGroup === 1 ? `seed ${first}` : `seeds ${first} to ${first + perGroup - 1}`
    it(
      name,
      async () => {
        const reports: R[] = []
        for (let seed = first; seed < first + perGroup; seed++) reports.push(await run(seed))
        check(reports)
      },
      timeoutMs,
    )
  }
}

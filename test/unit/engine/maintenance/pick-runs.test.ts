/** Goal: the picker merges what its rules say, only runs adjacent in age, and comes to rest with few runs whatever arrives. */
import { describe, expect, test } from 'vitest'
import {
  levelBottom,
  pickRuns,
  type RunFacts,
  type RunPickOptions,
  runPickDefaults,
  runsMax,
} from '../../../../engine/maintenance/pick-runs.ts'
import { seeded } from '../codec/random.ts'

const options: RunPickOptions = { ...runPickDefaults, ownBytes: 10 }

type Shape = Partial<RunFacts> & { readonly level: number; readonly bytes: number }

/** Newest first, as the picker gets them; offsets are made up. */
function runs(...shapes: readonly (readonly [level: number, bytes: number] | Shape)[]): RunFacts[] {
  return shapes.map((shape, i) => {
    const given: Shape = 'level' in shape ? shape : { level: shape[0], bytes: shape[1] }
    const firstOffset = (shapes.length - i) * 10
    return { records: given.bytes, deletes: 0, coveredBytes: 0, expired: 0, firstOffset, endOffset: firstOffset + 10, ...given }
  })
}

const empty: Shape = { level: 0, bytes: 0, records: 0 }
const bottom = (bytes: number): Shape => ({ level: levelBottom, bytes })

describe('cases', () => {
  const cases: readonly [string, RunFacts[], ReturnType<typeof pickRuns>][] = [
    ['no runs', [], undefined],
    ['one run', runs([0, 100]), undefined],
    ['three runs of the first level, no bottom yet', runs([0, 100], [0, 100], [0, 100]), undefined],
    [
      'the first four runs make the bottom',
      runs([0, 100], [0, 100], [0, 100], [0, 100]),
      { first: 0, end: 4, level: levelBottom, bytes: 400, reason: 'bottom' },
    ],
    ['less than half of the bottom lies above it', runs([0, 24], [0, 25], bottom(100)), undefined],
    ['half of the bottom', runs([0, 25], [0, 25], bottom(100)), { first: 0, end: 3, level: levelBottom, bytes: 150, reason: 'bottom' }],
    ['a tier of three', runs([0, 10], [0, 10], [0, 10], bottom(1000)), undefined],
    [
      'a tier of four becomes one run of the next level',
      runs([0, 10], [0, 10], [0, 10], [0, 10], bottom(1000)),
      { first: 0, end: 4, level: 1, bytes: 40, reason: 'tier' },
    ],
    [
      'a tier takes all that its level has',
      runs([0, 10], [0, 10], [0, 10], [0, 10], [0, 10], [1, 40], bottom(1000)),
      { first: 0, end: 5, level: 1, bytes: 50, reason: 'tier' },
    ],
    [
      'a tier below another that is not full',
      runs([0, 10], [1, 40], [1, 40], [1, 40], [1, 40], [2, 100], bottom(2000)),
      { first: 1, end: 5, level: 2, bytes: 160, reason: 'tier' },
    ],
    ['runs of one level that are not adjacent', runs([0, 10], [0, 10], [1, 20], [0, 10], [0, 10], bottom(1000)), undefined],
    ['a tier of crumbs is left to consolidation', runs([0, 2], [0, 2], [0, 2], [0, 2], bottom(1000)), undefined],
    ['a bottom of crumbs too', runs([0, 2], [0, 2], [0, 2], [0, 2]), undefined],
    [
      'the last tier stays above the bottom',
      runs([6, 10], [6, 10], [6, 10], [6, 10], bottom(1000)),
      { first: 0, end: 4, level: 6, bytes: 40, reason: 'tier' },
    ],
    [
      'deletes weigh what they delete: 30 records of 4 bytes are more than half of the bottom',
      runs({ level: 0, bytes: 20, records: 31, deletes: 30 }, { level: levelBottom, bytes: 200, records: 50 }),
      { first: 0, end: 2, level: levelBottom, bytes: 220, reason: 'deletes' },
    ],
    [
      'a few deletes among puts weigh nothing more',
      runs({ level: 0, bytes: 20, records: 61, deletes: 30 }, { level: levelBottom, bytes: 200, records: 50 }),
      undefined,
    ],
    [
      'a range delete weighs what it covers, with no bottom merged before',
      runs({ level: 0, bytes: 1, coveredBytes: 60 }, [0, 100]),
      { first: 0, end: 2, level: levelBottom, bytes: 101, reason: 'deletes' },
    ],
    [
      'deletes below which nothing lies',
      runs({ level: 0, bytes: 20, records: 20, deletes: 15 }),
      { first: 0, end: 1, level: levelBottom, bytes: 20, reason: 'deletes' },
    ],
    [
      'a bottom that had to keep its deletes is not written again',
      runs({ level: levelBottom, bytes: 20, records: 20, deletes: 15 }),
      undefined,
    ],
    [
      'half of the bottom expired',
      runs([0, 10], { level: levelBottom, bytes: 100, records: 10, expired: 5 }),
      { first: 0, end: 2, level: levelBottom, bytes: 110, reason: 'expired' },
    ],
    [
      'an empty run is no bottom and goes with it',
      runs([0, 25], [0, 25], bottom(100), empty),
      { first: 0, end: 4, level: levelBottom, bytes: 150, reason: 'bottom' },
    ],
    ['empty runs fill no tier', runs([0, 10], empty, [0, 10], empty, [0, 10], bottom(1000)), undefined],
    ['only empty runs', runs(empty, empty, empty), undefined],
    [
      'too many crumbs: the cheapest that are enough, and not the large ones',
      runs(...Array.from({ length: 10 }, () => ({ level: 0, bytes: 0.5, records: 1 })), [1, 80], bottom(1000)),
      { first: 0, end: 10, level: 0, bytes: 5, reason: 'count' },
    ],
    [
      'too many crumbs and nothing else',
      runs(...Array.from({ length: 11 }, () => ({ level: 0, bytes: 0.5, records: 1 }))),
      { first: 0, end: 11, level: levelBottom, bytes: 5.5, reason: 'count' },
    ],
    ['as many as are left alone', runs(...Array.from({ length: 10 }, () => ({ level: 0, bytes: 0.5, records: 1 }))), undefined],
  ]
  for (const [name, given, expected] of cases) test(name, () => expect(pickRuns(given, options) ?? undefined).toEqual(expected))

  test('too many runs of different levels: the window that costs least for each run it saves', () => {
    const given = runs([0, 50], [1, 1], [1, 1], [2, 1], [3, 1], [4, 60], [5, 70], [5, 80], [5, 90], [6, 100], bottom(9000))
    expect(pickRuns(given, options)).toEqual({ first: 1, end: 5, level: 3, bytes: 4, reason: 'count' })
  })

  test('runs whose offsets overlap are merged whole', () => {
    const [newer, older] = runs([0, 5], [3, 5]) as [RunFacts, RunFacts]
    expect(pickRuns([newer, { ...older, endOffset: newer.firstOffset + 1 }], options)?.reason).toBe('overlap')
  })
})

describe('in the long run', () => {
  /** Applies picks until there are none. Returns bytes written. */
  function settle(state: RunFacts[], live: number): number {
    let written = 0
    for (let round = 0; ; round++) {
      expect(round).toBeLessThan(20)
      const pick = pickRuns(state, options)
      if (pick === undefined) return written
      const merged = state.slice(pick.first, pick.end)
      const [newest, oldest] = [merged[0] as RunFacts, merged.at(-1) as RunFacts]
      const bytes = pick.end === state.length ? Math.min(pick.bytes, live) : pick.bytes
      written += bytes
      state.splice(pick.first, merged.length, {
        ...newest,
        level: pick.level,
        bytes,
        records: bytes,
        deletes: 0,
        firstOffset: oldest.firstOffset,
        endOffset: newest.endOffset,
      })
    }
  }

  test('never many runs, little written again, little space', () =>
    seeded(random => {
      const state: RunFacts[] = []
      const live = 20_000
      let offset = 0
      let flushed = 0
      let written = 0
      for (let i = 0; i < 3000; i++) {
        const bytes = 20 + random.below(200)
        flushed += bytes
        state.unshift({
          level: 0,
          bytes,
          records: bytes,
          deletes: 0,
          coveredBytes: 0,
          expired: 0,
          firstOffset: offset,
          endOffset: ++offset,
        })
        written += settle(state, live)
        expect(state.length).toBeLessThanOrEqual(runPickDefaults.runsAim)
        const space = state.reduce((sum, run) => sum + run.bytes, 0)
        expect(space).toBeLessThanOrEqual(live * 1.5 + 1)
        // Levels do not fall with age.
        for (let at = 1; at < state.length - 1; at++) expect(state[at]!.level).toBeGreaterThanOrEqual(state[at - 1]!.level)
      }
      expect(runsMax).toBeGreaterThan(runPickDefaults.runsAim)
      expect(written / flushed).toBeLessThan(8)
      expect(flushed).toBeGreaterThan(live * 10)
    }))
})

/** Goal: the picker merges what its rules say, only runs adjacent in age, and comes to rest with few runs whatever arrives. */
import { describe, expect, test } from 'vitest'
import {
  cutBytesOf,
  levelBottom,
  pickRuns,
  pieceBytesOf,
  type RegionFacts,
  type RunFacts,
  type RunPickOptions,
  runPickDefaults,
  runsMax,
} from '../../../../engine/maintenance/pick-runs.ts'
import { seeded } from '../codec/random.ts'

const options: RunPickOptions = { ...runPickDefaults, ownBytes: 10, pieceBytesMin: 80 }

type Shape = Partial<RunFacts> & { readonly level: number; readonly bytes: number }

/** Newest first, as the picker gets them; offsets are made up. */
function runs(...shapes: readonly (readonly [level: number, bytes: number] | Shape)[]): RunFacts[] {
  return shapes.map((shape, i) => {
    const given: Shape = 'level' in shape ? shape : { level: shape[0], bytes: shape[1] }
    const firstOffset = (shapes.length - i) * 10
    return {
      records: given.bytes,
      deletes: 0,
      coveredBytes: 0,
      expired: 0,
      overwrites: 1,
      firstOffset,
      endOffset: firstOffset + 10,
      ...given,
    }
  })
}

/** The picker's answer; runs of the bottom level are its regions, in the order in which they come. */
function pick(given: readonly RunFacts[]): ReturnType<typeof pickRuns> {
  return pickRuns(
    given.filter(({ level }) => level !== levelBottom),
    given.filter(({ level }) => level === levelBottom),
    options,
  )
}

const empty: Shape = { level: 0, bytes: 0, records: 0 }
const bottom = (bytes: number): Shape => ({ level: levelBottom, bytes })

test('a round that has begun is ended where the rest of it costs no more than it frees', () => {
  const above = runs({ level: 0, bytes: 20, firstOffset: 20, endOffset: 30 })
  const regions = (merged: number): RegionFacts[] =>
    Array.from({ length: 10 }, (_, i) => ({ bytes: 10, records: 10, expired: 0, endOffset: i < merged ? 30 : 20 }))
  expect(pickRuns(above, regions(0), options)).toBeUndefined()
  expect(pickRuns(above, regions(5), options)).toBeUndefined()
  expect(pickRuns(above, regions(6), options)).toMatchObject({ regions: { first: 6 }, reason: 'bottom' })
  expect(pickRuns(above, regions(10), options)).toBeUndefined()
})

test('where space is short regions are merged with whatever lies above them', () => {
  const above = runs({ level: 0, bytes: 1, firstOffset: 20, endOffset: 30 })
  const regions = [20, 10, 30].map(endOffset => ({ bytes: 100, records: 10, expired: 0, endOffset }))
  expect(pickRuns(above, regions, options)).toBeUndefined()
  expect(pickRuns(above, regions, options, true)).toMatchObject({ regions: { first: 1, end: 2 }, level: levelBottom })
})

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
    [
      'half of the bottom',
      runs([0, 25], [0, 25], bottom(100)),
      { first: 0, end: 2, regions: { first: 0, end: 1 }, level: levelBottom, bytes: 150, reason: 'bottom' },
    ],
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
      { first: 0, end: 1, regions: { first: 0, end: 1 }, level: levelBottom, bytes: 220, reason: 'deletes' },
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
      { first: 0, end: 1, regions: { first: 0, end: 1 }, level: levelBottom, bytes: 110, reason: 'expired' },
    ],
    [
      'an empty run is no bottom and goes with it',
      runs([0, 25], [0, 25], bottom(100), empty),
      { first: 0, end: 3, regions: { first: 0, end: 1 }, level: levelBottom, bytes: 150, reason: 'bottom' },
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
  for (const [name, given, expected] of cases) test(name, () => expect(pick(given)).toEqual(expected))

  test('too many runs of different levels: the window that costs least for each run it saves', () => {
    const given = runs([0, 50], [1, 1], [1, 1], [2, 1], [3, 1], [4, 60], [5, 70], [5, 80], [5, 90], [6, 100], bottom(9000))
    expect(pick(given)).toEqual({ first: 1, end: 5, level: 3, bytes: 4, reason: 'count' })
  })

  test('runs whose offsets overlap are merged whole', () => {
    const [newer, older] = runs([0, 5], [3, 5]) as [RunFacts, RunFacts]
    expect(pick([newer, { ...older, endOffset: newer.firstOffset + 1 }])?.reason).toBe('overlap')
  })
})

describe('regions of the bottom', () => {
  const region = (bytes: number, endOffset: number, expired = 0): RegionFacts => ({ bytes, records: bytes, expired, endOffset })
  /** Three runs above that end at 20, 30 and 40, half of a bottom of 600. */
  const above = runs([0, 100], [0, 100], [0, 100])

  test('the one that was merged least recently comes first, with its neighbours up to the size of a piece', () => {
    const bottom = [region(100, 40), region(100, 30), region(30, 20), region(30, 20), region(40, 30), region(300, 20)]
    // A piece is 80 bytes.
    expect(pickRuns(above, bottom, options)).toMatchObject({ regions: { first: 2, end: 5 }, bytes: 400, reason: 'bottom' })
  })

  test('none that has everything', () => {
    expect(pickRuns(above, [region(10, 20), region(590, 40)], options)?.regions).toEqual({ first: 0, end: 1 })
    expect(pickRuns(above, [region(10, 40), region(590, 40)], options)).toBe(undefined)
  })

  test('a gap has nothing yet', () => {
    expect(pickRuns(above, [region(600, 30), { bytes: 0, records: 0, expired: 0, endOffset: 0 }], options)?.regions).toEqual({
      first: 1,
      end: 2,
    })
  })

  test('one that expired is written again whatever lies above', () => {
    expect(pickRuns([], [region(100, 40), region(100, 40, 50)], options)).toMatchObject({
      regions: { first: 1, end: 2 },
      reason: 'expired',
    })
  })

  test('reads come first when there are too many runs above: a tier, if it is small beside the bottom', () => {
    const many = runs(...Array.from({ length: 10 }, (): [number, number] => [0, 40]))
    expect(pickRuns(many, [region(700, 20)], options)?.reason).toBe('count')
    expect(pickRuns(many, [region(1700, 20)], options)?.reason).toBe('tier')
    expect(pickRuns(many, [region(300, 20)], options)?.reason).toBe('bottom')
  })

  test('pieces are a sixteenth of the bottom, within limits; those of a small one a sixth', () => {
    const sizes = [0, 100, 240, 1000, 4000, 20_000, 1_000_000].map(bytes => pieceBytesOf(bytes, 80))
    expect(sizes).toEqual([20, 20, 40, 80, 250, 640, 3906.25])
  })

  test('what is cut is cut evenly, and only where two pieces come of it', () => {
    const cut = (bytes: number): number | undefined => cutBytesOf(bytes, bytes, 10, 80)
    expect([5, 30, 31, 240, 1000].map(cut)).toEqual([undefined, undefined, 16, 40, 77])
    expect(cutBytesOf(100, 4000, 10, 80)).toBeUndefined()
  })

  test('new keys wait until there are three runs of them; where keys are written over, half of the bottom is enough', () => {
    const above = (count: number, overwrites: number): RunFacts[] =>
      runs(...Array.from({ length: count }, (): Shape => ({ level: 0, bytes: 60, overwrites })))
    const regions = [region(50, 10), region(50, 10)]
    for (const count of [1, 2]) expect(pickRuns(above(count, 0.1), regions, options)).toBeUndefined()
    expect(pickRuns(above(3, 0.1), regions, options)).toMatchObject({ regions: { first: 0, end: 1 }, reason: 'bottom' })
    for (const count of [1, 2]) expect(pickRuns(above(count, 0.9), regions, options)).toMatchObject({ regions: { first: 0 } })
    // Where space is short nothing waits.
    expect(pickRuns(above(1, 0.1), regions, options, true)).toMatchObject({ regions: { first: 0 } })
  })
})

describe('in the long run', () => {
  interface World {
    above: RunFacts[]
    bottom: RegionFacts[]
  }

  /** Applies picks until there are none; keys are spread evenly over all runs and regions. Returns bytes written; `peak` is told what lies on the disk. */
  function settle(world: World, live: number, peak: (bytes: number) => void): number {
    let written = 0
    const total = (): number => [...world.above, ...world.bottom].reduce((sum, { bytes }) => sum + bytes, 0)
    for (let round = 0; ; round++) {
      expect(round).toBeLessThan(200)
      const { above, bottom } = world
      const found = pickRuns(above, bottom, options)
      if (found === undefined) return written
      if (found.regions === undefined && found.level < levelBottom) {
        const merged = above.slice(found.first, found.end)
        const [newest, oldest] = [merged[0] as RunFacts, merged.at(-1) as RunFacts]
        const { level, bytes } = found
        peak(total() + bytes)
        written += bytes
        above.splice(found.first, merged.length, { ...newest, level, bytes, records: bytes, firstOffset: oldest.firstOffset })
        continue
      }
      const { first, end } = found.regions ?? { first: 0, end: 0 }
      const count = found.regions === undefined ? Math.ceil(live / pieceBytesOf(live, options.pieceBytesMin)) : end - first
      const bytes =
        found.regions === undefined ? Math.min(live, found.bytes) : bottom.slice(first, end).reduce((sum, piece) => sum + piece.bytes, 0)
      peak(total() + bytes)
      written += bytes
      const endOffset = above[0]?.endOffset ?? 0
      const piece = { bytes: bytes / count, records: bytes / count, expired: 0, endOffset }
      bottom.splice(first, end - first, ...Array.from({ length: count }, () => piece))
      const least = Math.min(...bottom.map(({ endOffset: has }) => has))
      while (above.length > 0 && above.at(-1)!.endOffset <= least) above.pop()
    }
  }

  test('never many runs, little written again, less than twice the space at any time', () =>
    seeded(random => {
      const world: World = { above: [], bottom: [] }
      const live = 20_000
      let offset = 0
      let flushed = 0
      let written = 0
      let most = 0
      const peak = (bytes: number): void => {
        if (flushed > live * 2) most = Math.max(most, bytes)
      }
      for (let i = 0; i < 3000; i++) {
        const bytes = 20 + random.below(200)
        flushed += bytes
        const facts = { level: 0, bytes, records: bytes, deletes: 0, coveredBytes: 0, expired: 0, overwrites: 1 }
        world.above.unshift({ ...facts, firstOffset: offset, endOffset: ++offset })
        written += settle(world, live, peak)
        expect(world.above.length).toBeLessThanOrEqual(runPickDefaults.runsAim)
        // Levels do not fall with age.
        for (let at = 1; at < world.above.length; at++) expect(world.above[at]!.level).toBeGreaterThanOrEqual(world.above[at - 1]!.level)
      }
      expect(world.bottom.length).toBeGreaterThan(10)
      expect(most).toBeLessThan(live * 1.9)
      expect(runsMax).toBeGreaterThan(runPickDefaults.runsAim)
      expect(written / flushed).toBeLessThan(8)
      expect(flushed).toBeGreaterThan(live * 10)
    }))
})

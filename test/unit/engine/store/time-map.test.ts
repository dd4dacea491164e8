/** Goal: the map answers for any time a moment that was, no earlier than a fraction of the age allows, stays small, and comes back from its bytes. */
import { expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { TimeMap, thinningFraction } from '../../../../engine/store/time-map.ts'

test('moments of times and clocks of moments, between commits of others too', () => {
  const map = new TimeMap()
  expect([map.momentAt(5), map.timeAt(5), map.lastMoment]).toEqual([undefined, undefined, 0])
  map.add(100, 3, 5)
  map.add(200, 20, 21)
  expect([99, 100, 199, 200, 1000].map(time => map.momentAt(time))).toEqual([undefined, 5, 5, 21, 21])
  // Sequences 5 to 19 are of other stores: the clock is that of the commit before.
  expect([2, 4, 5, 19, 20, 21, 90].map(moment => map.timeAt(moment))).toEqual([undefined, 100, 100, 100, 100, 200, 200])
})

test('commits of one millisecond share an entry, each with this clock', () => {
  const map = new TimeMap()
  map.add(100, 1, 2)
  map.add(200, 2, 3)
  map.add(200, 3, 4)
  expect(map.length).toBe(2)
  expect([2, 3, 4].map(moment => map.timeAt(moment))).toEqual([100, 200, 200])
  expect(map.momentAt(200)).toBe(4)
})

test('a clock that was set back: later times give way, times ascend', () => {
  const map = new TimeMap()
  map.add(1000, 1, 2)
  map.add(5000, 2, 3)
  map.add(2000, 3, 4)
  expect([1500, 2000, 9000].map(time => map.momentAt(time))).toEqual([2, 4, 4])
  map.add(500, 4, 5) // before the first: that one stays, and is as old
  expect([499, 500].map(time => map.momentAt(time))).toEqual([undefined, 5])
  map.add(400, 5, 5)
  expect(map.lastMoment).toBe(5)
})

test('dropBelow keeps what the horizon and all later moments need', () => {
  const map = new TimeMap()
  for (let i = 1; i <= 10; i++) map.add(i * 100, i * 10 - 1, i * 10)
  map.dropBelow(45)
  expect([map.momentAt(399), map.momentAt(400), map.momentAt(500)]).toEqual([undefined, 40, 50])
  map.dropBelow(5)
  expect(map.length).toBe(7)
})

test.each([1, 2, 3])('thinned again and again it stays small and near, and its bytes bring it back, seed %i', seed => {
  const random = new SimRandom(seed)
  let map = new TimeMap()
  const commits: { readonly time: number; readonly moment: number }[] = []
  let time = 1_000_000
  let moment = 1
  for (let round = 0; round < 60; round++) {
    const burst = random.below(400)
    for (let i = 0; i < burst; i++) {
      time += random.below(30)
      const base = moment + random.below(3)
      moment = base + 1 + random.below(5)
      map.add(time, base, moment)
      commits.push({ time, moment })
    }
    time += random.below(2) * random.below(600_000)
    map.thin(time)
    map = TimeMap.decode(map.encode(time))
  }
  expect(map.length).toBeLessThan(commits.length / 2)
  for (let i = 0; i < 500; i++) {
    const asked = commits[0]!.time + random.below(time - commits[0]!.time)
    const found = map.momentAt(asked) as number
    const slack = 1 + (time - asked) * thinningFraction * 1.01
    expect(found).toBeLessThanOrEqual(commits.findLast(commit => commit.time <= asked)!.moment)
    expect(found).toBeGreaterThanOrEqual(commits.findLast(commit => commit.time <= asked - slack)?.moment ?? 0)
    const commit = commits[random.below(commits.length)]!
    const clock = map.timeAt(commit.moment) as number
    expect(clock).toBeGreaterThanOrEqual(commit.time)
    expect(clock).toBeLessThanOrEqual(commit.time + 1 + (time - commit.time) * thinningFraction * 1.01)
  }
})

test('what is stored fits a metadata slot, whatever there was', () => {
  const map = new TimeMap()
  for (let i = 0; i < 200_000; i++) map.add(i * 400, i * 1000 + 900, i * 1000 + 1000)
  expect(map.encode(200_000 * 400).length).toBeLessThanOrEqual(48 * 1024)
  expect(map.length).toBeGreaterThan(500)
})

test('bytes of another format, and damaged ones, are told', () => {
  const map = new TimeMap()
  map.add(100, 1, 2)
  const bytes = map.encode(100)
  const damaged = [Uint8Array.of(0), bytes.subarray(0, bytes.length - 1), Uint8Array.from([...bytes, 0]), new Uint8Array(0)]
  for (const each of damaged) expect(() => TimeMap.decode(each)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  expect(() => TimeMap.decode(Uint8Array.of(9))).toThrow(expect.objectContaining({ code: 'NEWER_FORMAT' }))
})

/**
 * Goal: writers come to the pace of flushes by small delays, and are let alone while flushes keep up. A writer and a flusher in virtual time: the writer appends as
 * soon as its last frame is acknowledged.
 */
import { expect, test } from 'vitest'
import { Pacer } from '../../../../engine/commit-log/pacer.ts'

const MiB = 1024 * 1024
const tailBytesMax = 256 * MiB
const arenaBytes = 32 * MiB

interface Outcome {
  readonly backlogMax: number
  readonly delayMax: number
  readonly written: number
}

/** `appendMs` and `flushMs`: of a frame and of an arena; frames of `frameBytes`. */
function run(frameBytes: number, appendMs: number, flushMs: (arena: number) => number, ms: number): Outcome {
  let now = 0
  const pacer = new Pacer({ now: () => now, monotonic: () => now }, tailBytesMax)
  let backlog = 0
  let open = 0
  let sealed = 0
  let flushed = 0
  let flushEnds = Number.POSITIVE_INFINITY
  const outcome = { backlogMax: 0, delayMax: 0, written: 0 }
  const flushUntil = (time: number): void => {
    while (flushEnds <= time) {
      now = flushEnds
      flushed++
      backlog -= arenaBytes
      pacer.drained(arenaBytes, sealed > flushed ? arenaBytes : 0)
      flushEnds = sealed > flushed ? now + flushMs(flushed) : Number.POSITIVE_INFINITY
    }
    now = time
  }
  while (now < ms) {
    flushUntil(now + appendMs)
    backlog += frameBytes
    open += frameBytes
    outcome.written += frameBytes
    if (open >= arenaBytes) {
      open -= arenaBytes
      sealed++
      pacer.waits(arenaBytes)
      if (flushEnds === Number.POSITIVE_INFINITY) flushEnds = now + flushMs(flushed)
    }
    const delay = pacer.delayMs(frameBytes, backlog)
    outcome.backlogMax = Math.max(outcome.backlogMax, backlog)
    outcome.delayMax = Math.max(outcome.delayMax, delay)
    flushUntil(now + delay)
  }
  return outcome
}

test('while flushes keep up nobody is delayed', () => {
  // 100 MB/s against 200 MB/s.
  const { delayMax, written } = run(MiB / 8, 1.25, () => 160, 20_000)
  expect(delayMax).toBe(0)
  expect(written / MiB).toBeCloseTo(2000, -1)
})

test.each([
  ['four times as fast', MiB / 8, 0.3],
  ['in small frames', 16 * 1024, 0.04],
  ['in large ones', 4 * MiB, 9],
])('a writer %s comes to the pace of flushes and never waits long', (_name, frameBytes, appendMs) => {
  // Flushes of 32 MiB in 300 ms.
  const { delayMax, backlogMax, written } = run(frameBytes, appendMs, () => 300, 20_000)
  expect(delayMax).toBeGreaterThan(0)
  expect(delayMax).toBeLessThanOrEqual(50)
  expect(backlogMax).toBeLessThan(tailBytesMax / 2)
  expect(written / MiB / (20_000 / 300)).toBeGreaterThan(30)
})

test('flushes that become slower, or wait for merges now and then, lower the pace in time', () => {
  const slower = run(MiB / 8, 0.5, arena => (arena < 8 ? 150 : 900), 30_000)
  expect(slower.backlogMax).toBeLessThan(tailBytesMax / 2)
  const uneven = run(MiB / 8, 0.5, arena => (arena % 2 === 0 ? 200 : 1200), 30_000)
  expect(uneven.backlogMax).toBeLessThan(tailBytesMax / 2)
  expect(uneven.delayMax).toBeLessThanOrEqual(50)
})

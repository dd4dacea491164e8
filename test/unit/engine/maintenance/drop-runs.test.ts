/** Goal: a run is dropped unread only when no view sees anything of it and nothing older shows again. */
import { describe, expect, test } from 'vitest'
import { STORE_RANGE_DELETE } from '../../../../engine/batch/store-format.ts'
import { type DroppableRun, pickDrops } from '../../../../engine/maintenance/drop-runs.ts'
import { concat, storeRecord, utf8 } from '../segment/fixtures.ts'

interface Shape {
  readonly keys: readonly [string, string]
  readonly sequences: readonly [number, number]
  readonly ranges?: readonly (readonly [from: string, to: string, sequence: number])[]
  readonly expiry?: number
  readonly pointers?: number
  readonly expiring?: number
}

function run({ keys, sequences, ranges = [], expiry, pointers = 0, expiring }: Shape): DroppableRun {
  return {
    records: 10,
    pointers,
    expiring: expiring ?? (expiry === undefined ? 0 : 10),
    maxExpiry: expiry ?? 0,
    minSequence: sequences[0],
    maxSequence: sequences[1],
    smallestKey: utf8(keys[0]),
    largestKey: utf8(keys[1]),
    rangeDeletes: concat(...ranges.map(([key, value, sequence]) => storeRecord({ kind: STORE_RANGE_DELETE, key, value, sequence }))),
  }
}

const drops = (shapes: readonly Shape[], snapshots: readonly number[] = [], expiryClock?: number): number[] =>
  pickDrops(shapes.map(run), { snapshots, expiryClock })

describe('range deletes', () => {
  const older: Shape = { keys: ['c', 'm'], sequences: [10, 19] }
  const newer = (from: string, to: string): Shape => ({ keys: ['a', 'z'], sequences: [20, 29], ranges: [[from, to, 25]] })

  test('covered whole', () => expect(drops([newer('b', 'n'), older])).toEqual([1]))
  test('from its first key on', () => expect(drops([newer('c', 'n'), older])).toEqual([1]))
  test('the first key stands out', () => expect(drops([newer('ca', 'n'), older])).toEqual([]))
  test('the end is exclusive: the last key stands out', () => expect(drops([newer('b', 'm'), older])).toEqual([]))
  test('an older range delete covers nothing newer', () =>
    expect(drops([older, { keys: ['a', 'z'], sequences: [1, 9], ranges: [['a', 'z', 5]] }])).toEqual([]))
  test('not by its sequence either', () => expect(drops([{ ...newer('b', 'n'), ranges: [['b', 'n', 15]] }, older])).toEqual([]))
  test('a snapshot between the run and the range delete', () => {
    for (const snapshot of [10, 19, 24]) expect(drops([newer('b', 'n'), older], [snapshot])).toEqual([])
  })
  test('snapshots that see nothing of the run, or the range delete too', () =>
    expect(drops([newer('b', 'n'), older], [9, 25, 30])).toEqual([1]))
  test('a history that begins before the range delete, or with it', () => {
    const shapes = [newer('b', 'n'), older].map(run)
    for (const keepSince of [-1, 9, 15, 24]) expect(pickDrops(shapes, { snapshots: [], keepSince, expiryClock: undefined })).toEqual([])
    for (const keepSince of [25, 30]) expect(pickDrops(shapes, { snapshots: [], keepSince, expiryClock: undefined })).toEqual([1])
  })
  test('its own range delete reaches further than the one that covers it', () => {
    const reaching: Shape = { ...older, ranges: [['d', 'x', 12]] }
    expect(drops([newer('b', 'n'), reaching])).toEqual([])
    expect(drops([newer('b', 'x'), reaching])).toEqual([1])
  })
  test('pointers are left to merges', () => expect(drops([newer('b', 'n'), { ...older, pointers: 1 }])).toEqual([]))
  test('several runs, one of which is covered', () => {
    const shapes = [newer('b', 'n'), { keys: ['x', 'y'], sequences: [15, 19] }, { ...older, sequences: [10, 14] }] as const
    expect(drops(shapes)).toEqual([2])
  })
})

describe('expiry', () => {
  const expired: Shape = { keys: ['c', 'm'], sequences: [10, 19], expiry: 100 }

  test('at the clock and before it', () => {
    expect(drops([expired], [], 100)).toEqual([0])
    expect(drops([expired], [], 99)).toEqual([])
  })
  test('not when expired records stay', () => expect(drops([expired])).toEqual([]))
  test('not when one record does not expire', () => expect(drops([{ ...expired, expiring: 9 }], [], 100)).toEqual([]))
  test('an older run with keys in its range would show', () => {
    expect(drops([expired, { keys: ['a', 'c'], sequences: [1, 9] }], [], 100)).toEqual([])
    expect(drops([expired, { keys: ['m', 'z'], sequences: [1, 9] }], [], 100)).toEqual([])
    expect(drops([expired, { keys: ['a', 'b'], sequences: [1, 9] }], [], 100)).toEqual([0])
  })
  test('a newer run does not matter, nor an older one that goes too', () => {
    expect(drops([{ keys: ['a', 'z'], sequences: [20, 29] }, expired], [], 100)).toEqual([1])
    expect(drops([expired, { keys: ['a', 'z'], sequences: [1, 9], expiry: 50 }], [], 100)).toEqual([0, 1])
  })
})

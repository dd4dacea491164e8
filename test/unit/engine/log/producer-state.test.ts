/**
 * Goal: producers are judged by Kafka's rules: sequences without gaps that wrap at 2^31, resends of the last five batches answered with their old
 * offsets, older epochs fenced, newer ones from sequence 0; transactions hold back the last stable offset, and abort markers list what they abort.
 */
import { describe, expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { ProducerState } from '../../../../engine/log/producer-state.ts'

const last = 2 ** 31 - 1

function append(
  state: ProducerState,
  id: number,
  epoch: number,
  sequence: number,
  count: number,
  offset: number,
  transactional = false,
): void {
  state.appended({ id, epoch, sequence }, count, offset, 0, transactional)
}

const codeOf = (run: () => unknown): string => {
  try {
    return run() === undefined ? 'new' : 'duplicate'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('sequences', () => {
  test('wrap at 2^31, inside a batch and between two', () => {
    for (const [sequence, count, next] of [
      [last, 1, 0],
      [last - 2, 5, 2],
      [last - 1, 2, 0],
    ] as const) {
      const state = new ProducerState()
      append(state, 1, 0, sequence, count, 100)
      expect(codeOf(() => state.check({ id: 1, epoch: 0, sequence: next }, 1))).toBe('new')
      expect(codeOf(() => state.check({ id: 1, epoch: 0, sequence: next + 1 }, 1))).toBe('OUT_OF_ORDER_SEQUENCE')
      expect(state.check({ id: 1, epoch: 0, sequence }, count)).toMatchObject({ baseOffset: 100, endOffset: 100 + count })
      const again = ProducerState.fromBytes(state.toBytes())
      expect(codeOf(() => again.check({ id: 1, epoch: 0, sequence: next }, 1))).toBe('new')
      expect(codeOf(() => again.check({ id: 1, epoch: 0, sequence }, count))).toBe('duplicate')
    }
  })

  test('the last five batches are recognised, an older one is out of order, and so is one of another size', () => {
    const state = new ProducerState()
    for (let i = 0; i < 7; i++) append(state, 1, 0, i * 2, 2, i * 2)
    const seen = Array.from({ length: 8 }, (_, i) => codeOf(() => state.check({ id: 1, epoch: 0, sequence: i * 2 }, 2)))
    const old = 'OUT_OF_ORDER_SEQUENCE'
    expect(seen).toEqual([old, old, 'duplicate', 'duplicate', 'duplicate', 'duplicate', 'duplicate', 'new'])
    expect(codeOf(() => state.check({ id: 1, epoch: 0, sequence: 12 }, 1))).toBe(old)
  })

  test('an unknown producer may begin anywhere, a newer epoch at 0 only, an older one not at all', () => {
    const state = new ProducerState()
    expect(codeOf(() => state.check({ id: 1, epoch: 3, sequence: 77 }, 1))).toBe('new')
    append(state, 1, 3, 77, 1, 0)
    expect(codeOf(() => state.check({ id: 1, epoch: 2, sequence: 78 }, 1))).toBe('PRODUCER_FENCED')
    expect(codeOf(() => state.check({ id: 1, epoch: 4, sequence: 78 }, 1))).toBe('OUT_OF_ORDER_SEQUENCE')
    expect(codeOf(() => state.check({ id: 1, epoch: 4, sequence: 0 }, 1))).toBe('new')
    append(state, 1, 4, 0, 1, 1)
    expect(codeOf(() => state.check({ id: 1, epoch: 3, sequence: 77 }, 1))).toBe('PRODUCER_FENCED')
  })

  test('a marker with a newer epoch fences the old one, and the new one begins at 0', () => {
    const state = new ProducerState()
    append(state, 1, 0, 0, 3, 0, true)
    state.ended(1, 1, false, 3, 0)
    expect(codeOf(() => state.check({ id: 1, epoch: 0, sequence: 3 }, 1))).toBe('PRODUCER_FENCED')
    expect(codeOf(() => state.check({ id: 1, epoch: 1, sequence: 3 }, 1))).toBe('OUT_OF_ORDER_SEQUENCE')
    expect(codeOf(() => state.check({ id: 1, epoch: 1, sequence: 0 }, 1))).toBe('new')
  })
})

describe('transactions', () => {
  test('the oldest open one holds the last stable offset; an abort lists its range', () => {
    const state = new ProducerState()
    append(state, 1, 0, 0, 2, 10, true)
    append(state, 2, 0, 0, 2, 12, true)
    append(state, 1, 0, 2, 2, 14, true)
    expect(state.firstOpenOffset()).toBe(10)
    expect(state.ended(1, 0, false, 16, 0)).toEqual({ producerId: 1, firstOffset: 10, lastOffset: 16, lastStableOffset: 12 })
    expect(state.firstOpenOffset()).toBe(12)
    expect(state.ended(2, 0, true, 17, 0)).toBeUndefined()
    expect(state.firstOpenOffset()).toBeUndefined()
    append(state, 2, 0, 2, 1, 18, true)
    expect(state.ended(2, 0, false, 19, 0)).toEqual({ producerId: 2, firstOffset: 18, lastOffset: 19, lastStableOffset: 20 })
    expect(state.ended(2, 0, false, 20, 0)).toBeUndefined()
  })

  test('expiry forgets silent producers, but none with an open transaction', () => {
    const state = new ProducerState()
    state.appended({ id: 1, epoch: 0, sequence: 0 }, 1, 0, 100, false)
    state.appended({ id: 2, epoch: 0, sequence: 0 }, 1, 1, 100, true)
    state.appended({ id: 3, epoch: 0, sequence: 0 }, 1, 2, 200, false)
    state.expire(150)
    expect(state.size).toBe(2)
    expect(codeOf(() => state.check({ id: 1, epoch: 0, sequence: 9 }, 1))).toBe('new')
    expect(state.firstOpenOffset()).toBe(1)
  })
})

/** The same rules over plain lists: every batch of a producer's epoch, oldest first. */
class Model {
  readonly batches = new Map<
    number,
    { epoch: number; list: { sequence: number; count: number; offset: number }[]; open: number | undefined }
  >()

  judge(id: number, epoch: number, sequence: number, count: number): string {
    const producer = this.batches.get(id)
    if (producer === undefined) return 'new'
    if (epoch < producer.epoch) return 'PRODUCER_FENCED'
    const list = epoch === producer.epoch ? producer.list : []
    const kept = list.slice(-5)
    if (kept.some(batch => batch.sequence === sequence && batch.count === count)) return 'duplicate'
    const newest = list.at(-1)
    const expected = newest === undefined ? 0 : (newest.sequence + newest.count) % 2 ** 31
    return sequence === expected ? 'new' : 'OUT_OF_ORDER_SEQUENCE'
  }

  append(id: number, epoch: number, sequence: number, count: number, offset: number, transactional: boolean): void {
    const before = this.batches.get(id)
    const list = before?.epoch === epoch ? before.list : []
    const open = before?.open ?? (transactional ? offset : undefined)
    this.batches.set(id, { epoch, list: [...list, { sequence, count, offset }], open })
  }
}

test.each([1, 2, 3, 4])('seed %i: a random history is judged as by plain lists, also after each is stored and read back', seed => {
  const random = new SimRandom(seed)
  let state = new ProducerState()
  const model = new Model()
  let offset = 0
  const verdicts = new Map<string, number>()
  for (let step = 0; step < 4000; step++) {
    const id = random.below(4)
    const known = model.batches.get(id)
    const epoch = Math.max(0, (known?.epoch ?? 0) + (random.chance(0.03) ? 1 : random.chance(0.03) ? -1 : 0))
    const newest = known?.list.at(-random.below(8) - 1)
    const next = known?.list.at(-1)
    const expected = next === undefined ? (random.chance(0.5) ? 0 : last - random.below(20)) : (next.sequence + next.count) % 2 ** 31
    const resend = random.chance(0.3) && newest !== undefined
    const sequence = resend
      ? newest.sequence
      : random.chance(0.1)
        ? random.below(2 ** 31)
        : epoch !== known?.epoch && known !== undefined
          ? 0
          : expected
    const count = resend && random.chance(0.9) ? newest.count : 1 + random.below(9)
    const verdict = model.judge(id, epoch, sequence, count)
    expect(codeOf(() => state.check({ id, epoch, sequence }, count))).toBe(verdict)
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
    if (verdict === 'new') {
      const transactional = known?.open !== undefined || random.chance(0.2)
      append(state, id, epoch, sequence, count, offset, transactional)
      model.append(id, epoch, sequence, count, offset, transactional)
      offset += count
    }
    if (known?.open !== undefined && random.chance(0.2)) {
      const commit = random.chance(0.5)
      const entry = state.ended(id, known.epoch, commit, offset, 0)
      expect(entry?.firstOffset).toBe(commit ? undefined : known.open)
      const now = model.batches.get(id)
      if (now !== undefined) model.batches.set(id, { ...now, open: undefined })
      offset++
    }
    const open = [...model.batches.values()].map(producer => producer.open).filter(first => first !== undefined)
    expect(state.firstOpenOffset()).toBe(open.length === 0 ? undefined : Math.min(...open))
    if (random.chance(0.05)) state = ProducerState.fromBytes(state.toBytes())
  }
  expect([...verdicts.keys()].sort()).toEqual(['OUT_OF_ORDER_SEQUENCE', 'PRODUCER_FENCED', 'duplicate', 'new'])
})

test('damaged bytes are refused wherever they are cut or changed in kind', () => {
  const state = new ProducerState()
  append(state, 1, 0, 0, 1, 0)
  append(state, 2, 0, 0, 1, 1)
  const bytes = state.toBytes()
  for (let size = 0; size < bytes.length; size++) expect(codeOf(() => ProducerState.fromBytes(bytes.subarray(0, size)))).toBe('CORRUPT')
  expect(codeOf(() => ProducerState.fromBytes(Uint8Array.of(...bytes, 0)))).toBe('CORRUPT')
  const version = bytes.slice()
  version[0] = 9
  expect(codeOf(() => ProducerState.fromBytes(version))).not.toBe('new')
})

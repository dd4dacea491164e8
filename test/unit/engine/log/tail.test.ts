/** Goal: a tail is the list of its batches, whatever is pushed, flushed, truncated, carried and put back in recovery; compared with a plain array. */
import { expect, test } from 'vitest'
import { encodeRecordBatch } from '../../../../engine/batch/record-batch-codec.ts'
import { Arena, STATE_DEAD } from '../../../../engine/commit-log/arena.ts'
import { SimRandom } from '../../../../engine/env/index.ts'
import { arenaNumberOf, rowOf, slotOf, Tail } from '../../../../engine/log/tail.ts'

interface Batch {
  readonly base: number
  readonly end: number
  readonly slot: number
}

/** Arenas with batches of one, two or three records. */
class Writer {
  readonly arenas = new Map<number, Arena>()
  #arena = this.#newArena(1)
  end = 0

  #newArena(number: number): Arena {
    const arena = new Arena(number, new Uint8Array(new SharedArrayBuffer(2048)), number * 10_000, false)
    this.arenas.set(number, arena)
    return arena
  }

  append(count: number, base: number = this.end): Batch {
    const bytes = encodeRecordBatch(
      Array.from({ length: count }, (_, i) => ({ value: `v${base + i}` })),
      { baseOffset: base, epoch: 1, timestamp: base },
    )
    if (this.#arena.used + bytes.length > this.#arena.capacity) this.#arena = this.#newArena(this.#arena.number + 1)
    const arena = this.#arena
    arena.bytes.set(bytes, arena.used)
    const row = arena.addIndexRow(7, arena.used, bytes.length, base, base + count, base, 1, 0)
    arena.used += bytes.length
    this.end = Math.max(this.end, base + count)
    return { base, end: base + count, slot: slotOf(arena.number, row) }
  }
}

test('a slot names arena and row, up to the last row of an arena', () => {
  for (const [arena, row] of [
    [0, 0],
    [1, 2 ** 24 - 1],
    [2 ** 28, 5],
  ] as const) {
    const slot = slotOf(arena, row)
    expect([arenaNumberOf(slot), rowOf(slot), Number.isSafeInteger(slot)]).toEqual([arena, row, true])
  }
  expect(() => slotOf(1, 2 ** 24)).toThrow(expect.objectContaining({ code: 'INVARIANT' }))
})

test.each([1, 2, 3, 4, 5, 6])('seed %i: every change, then every question, as an array answers it', seed => {
  const random = new SimRandom(seed)
  const writer = new Writer()
  const tail = new Tail(number => writer.arenas.get(number) as Arena)
  let model: Batch[] = []
  for (let step = 0; step < 3000; step++) {
    const drawn = random.below(100)
    if (drawn < 70) {
      const batch = writer.append(1 + random.below(3))
      tail.push(batch.slot)
      model.push(batch)
    } else if (drawn < 80) {
      const count = random.below(Math.min(model.length, 60) + 1)
      tail.dropFirst(count)
      model = model.slice(count)
    } else if (drawn < 84) {
      const index = Math.max(0, model.length - random.below(4))
      tail.dropFrom(index)
      model = model.slice(0, index)
      writer.end = model.at(-1)?.end ?? writer.end
    } else if (drawn < 90 && model.length > 0) {
      // Carried: the same batch at another place.
      const index = random.below(model.length)
      const { base, end } = model[index] as Batch
      const copy = writer.append(end - base, base)
      if (random.chance(0.5)) tail.replace(index, copy.slot)
      else expect(tail.insert(copy.slot, base)).toBe(model[index]?.slot)
      model[index] = copy
    } else if (drawn < 93 && model.length > 1) {
      // Recovery meets a carried batch whose first place is gone.
      const index = random.below(model.length - 1)
      const { base, end } = model[index] as Batch
      const rest = model.slice(index + 1).map(batch => batch.slot)
      tail.dropFrom(index)
      for (const slot of rest) tail.push(slot)
      const copy = writer.append(end - base, base)
      expect(tail.insert(copy.slot, base)).toBeUndefined()
      model[index] = copy
    } else {
      const offset = (model[0]?.base ?? writer.end) + random.below(12)
      const found = model.findIndex(batch => batch.end > offset)
      expect(tail.find(offset)).toBe(found < 0 ? model.length : found)
      const bound = offset + random.below(12)
      const bytesMax = 1 + random.below(400)
      const slice = tail.read('topic', offset, bound, bytesMax, true)
      const whole = model.slice(found < 0 ? model.length : found).filter(batch => batch.end <= bound)
      expect(slice.positions.length).toBeLessThanOrEqual(whole.length)
      expect(slice.positions.length > 0).toBe(whole.length > 0)
      expect(slice.positions.length <= 1 || slice.bytes.length <= bytesMax).toBe(true)
      expect(slice.nextOffset).toBe(slice.positions.length === 0 ? offset : whole[slice.positions.length - 1]?.end)
    }
    expect(tail.length).toBe(model.length)
  }
  expect(model.map((_, i) => [tail.slot(i), tail.baseOffset(i), tail.endOffset(i)])).toEqual(
    model.map(({ slot, base, end }) => [slot, base, end]),
  )
})

test('a mark stays with its batch', () => {
  const writer = new Writer()
  const tail = new Tail(number => writer.arenas.get(number) as Arena)
  for (let i = 0; i < 100; i++) tail.push(writer.append(1).slot)
  tail.markDead(3, STATE_DEAD)
  expect([2, 3, 4].map(i => tail.state(i))).toEqual([0, STATE_DEAD, 0])
  tail.dropFirst(2)
  expect([0, 1, 2].map(i => tail.state(i))).toEqual([0, STATE_DEAD, 0])
})

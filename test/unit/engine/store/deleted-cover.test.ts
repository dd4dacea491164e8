/** Goal: the pieces of many range deletes say of each key which row deletes it last, as looking at every range would, in as few pieces as needed. */
import { expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { coverOf, type DeletedRange, joined, rowOver } from '../../../../engine/store/deleted-cover.ts'

const keyOf = (n: number): Uint8Array => (n === 0 ? new Uint8Array(0) : Uint8Array.of(n >> 4, n & 15))

test.each([1, 2, 3, 4])('random ranges, seed %i', seed => {
  const random = new SimRandom(seed)
  for (let round = 0; round < 200; round++) {
    const ranges: DeletedRange[] = Array.from({ length: random.below(12) }, (_, row) => {
      return { start: keyOf(random.below(60)), end: keyOf(random.below(60)), row }
    })
    const pieces = coverOf(ranges)
    for (const [i, piece] of pieces.entries()) {
      expect(Buffer.compare(piece.start, piece.end)).toBe(-1)
      const before = pieces[i - 1]
      if (before === undefined) continue
      const seam = Buffer.compare(before.end, piece.start)
      expect(seam === -1 || (seam === 0 && before.row !== piece.row)).toBe(true)
    }
    const whole = joined(pieces)
    for (let n = 0; n < 64; n++) {
      const key = keyOf(n)
      const covering = ranges.filter(({ start, end }) => Buffer.compare(start, key) <= 0 && Buffer.compare(key, end) < 0)
      expect(rowOver(pieces, key)).toBe(Math.max(-1, ...covering.map(({ row }) => row)))
      const isIn = whole.some(({ start, end }) => Buffer.compare(start, key) <= 0 && Buffer.compare(key, end) < 0)
      expect(isIn).toBe(covering.length > 0)
    }
  }
})

/** Goal: the writes of a transaction are found, ordered and covered as a plain map would say, however puts, range deletes and slices alternate. */
import { expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { bytesOfText, coveringRange, Overlay, textOfBytes } from '../../../../engine/store/overlay.ts'

test('texts keep bytes and their order', () => {
  const random = new SimRandom(3)
  const keys = Array.from({ length: 300 }, () => Uint8Array.from({ length: random.below(4) }, () => random.below(256)))
  for (const key of keys) expect(bytesOfText(textOfBytes(Uint8Array.of(9, ...key, 9), 1, key.length))).toEqual(key)
  const byText = [...keys].sort((left, right) => {
    const [a, b] = [textOfBytes(left, 0, left.length), textOfBytes(right, 0, right.length)]
    return a < b ? -1 : a > b ? 1 : 0
  })
  expect(byText).toEqual([...keys].sort((left, right) => Buffer.compare(left, right)))
})

test.each(Array.from({ length: 40 }, (_, seed) => seed))('agrees with a map: seed %i', seed => {
  const random = new SimRandom(seed)
  const overlay = new Overlay()
  const texts = Array.from({ length: 60 }, (_, i) => String.fromCharCode(i * 4) + (i % 3 === 0 ? 'x' : ''))
  const text = (): string => texts[random.below(texts.length)] as string
  const expected = new Map<string, number>()
  const deleted = new Set<string>()
  const slices: { readonly slice: readonly { readonly expiry: number }[]; readonly values: readonly number[] }[] = []
  for (let i = 1; i < 300; i++) {
    const what = random.below(seed % 2 === 0 ? 10 : 40)
    if (what === 0) {
      const start = random.chance(0.1) ? '' : text()
      const end = random.chance(0.1) ? undefined : text()
      if (end !== undefined && end <= start) continue
      overlay.deleteRange({}, start, end)
      for (const key of texts) {
        if (key < start || (end !== undefined && key >= end)) continue
        expected.delete(key)
        deleted.add(key)
      }
    } else if (what === 1) {
      const [from, to] = [text(), text()].sort() as [string, string]
      const slice = overlay.slice(from, to)
      const values = [...expected].filter(([key]) => key >= from && key < to).sort(([a], [b]) => (a < b ? -1 : 1))
      expect(slice.map(entry => [entry.text, entry.expiry])).toEqual(values)
      slices.push({ slice, values: values.map(([, value]) => value) })
    } else {
      const key = text()
      overlay.set({ text: key, bytes: bytesOfText(key), value: undefined, expiry: i })
      expected.set(key, i)
    }
    const probe = text()
    expect(overlay.find(probe)?.expiry).toBe(expected.get(probe))
    expect(coveringRange(overlay.ranges, probe) !== undefined).toBe(deleted.has(probe))
  }
  expect(overlay.slice(undefined, undefined).map(entry => entry.expiry)).toEqual(
    [...expected].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value),
  )
  // Disjoint and ascending.
  overlay.ranges.forEach((range, i) => {
    const next = overlay.ranges[i + 1]
    if (next !== undefined) expect(range.end !== undefined && range.end < next.start).toBe(true)
  })
  // What was handed out stays as it was.
  for (const { slice, values } of slices) expect(slice.map(entry => entry.expiry)).toEqual(values)
})

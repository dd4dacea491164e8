/** Goal: the writes of a transaction are found, ordered and covered as a plain map would say, however puts, range deletes and slices alternate. */
import { expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { coveringRange } from '../../../../engine/store/key-ranges.ts'
import { bytesOfText, Overlay, textOfBytes } from '../../../../engine/store/overlay.ts'
import { SortedEntries } from '../../../../engine/store/sorted-entries.ts'

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
    expect(overlay.coveringRange(probe) !== undefined).toBe(deleted.has(probe))
    if (i % 7 === 0) expect(coveringRange(overlay.ranges, probe) !== undefined).toBe(deleted.has(probe))
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

test.each([1, 2, 3])('thousands of entries in chunks agree with a sorted array: seed %i', seed => {
  const random = new SimRandom(seed)
  const text = (): string => String(random.below(20_000)).padStart(5, '0')
  let expected = [...new Set(Array.from({ length: 3000 }, text))].sort()
  const entries = new SortedEntries(expected.map(each => ({ text: each })))
  for (let i = 0; i < 400; i++) {
    const added = Array.from({ length: random.below(20) }, text)
    for (const each of added) entries.set({ text: each })
    expected = [...new Set([...expected, ...added])].sort()
    const start = text()
    const end = random.chance(0.02) ? undefined : String(Number(start) + random.below(random.chance(0.1) ? 4000 : 30)).padStart(5, '0')
    const isInside = (each: string): boolean => each >= start && (end === undefined || each < end)
    expect(entries.slice(start, end).map(entry => entry.text)).toEqual(expected.filter(isInside))
    if (random.chance(0.5)) continue
    expect(entries.remove(start, end).map(entry => entry.text)).toEqual(expected.filter(isInside))
    expected = expected.filter(each => !isInside(each))
  }
  expect(entries.slice(undefined, undefined).map(entry => entry.text)).toEqual(expected)
})

test('lists that were handed out stay as they were while ranges are added', () => {
  const overlay = new Overlay()
  const random = new SimRandom(5)
  const lists: { readonly list: readonly unknown[]; readonly text: string }[] = []
  for (let i = 0; i < 200; i++) {
    const start = random.below(1000)
    overlay.deleteRange(
      {},
      String(start).padStart(4, '0'),
      random.chance(0.02) ? undefined : String(start + random.below(9)).padStart(4, '0'),
    )
    if (random.chance(0.3)) lists.push({ list: overlay.ranges, text: JSON.stringify(overlay.ranges) })
  }
  for (const { list, text } of lists) expect(JSON.stringify(list)).toBe(text)
})

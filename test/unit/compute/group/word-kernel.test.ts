/**
 * Goal: a word kernel cuts texts as a regular expression does, and numbers words as a map would, for one table and for another after it, whatever of them it has room for: words of any bytes and sizes, alike in
 * what it compares, more than its table holds.
 */
import { expect, test } from 'vitest'
import { GroupTable } from '../../../../compute/group/group-table.ts'
import { giveBack, takeWordKernel, type WordKernel } from '../../../../compute/group/word-kernel.ts'
import { allRows } from '../../../../compute/vector/chunk.ts'
import { TextVector } from '../../../../compute/vector/vector.ts'
import { type Random, seeded } from '../../engine/codec/random.ts'

const kernelOf = (): WordKernel => takeWordKernel() as WordKernel

/** Different ones have different texts, and many the first 15, 16 or 17 bytes in common. */
function wordOf(number: number): string {
  const digits = number.toString(36)
  switch (number % 5) {
    case 0:
      return digits
    case 1:
      return 'x'.repeat(15) + digits
    case 2:
      return `${'y'.repeat(16)}${digits}`
    case 3:
      // Nothing but bytes that are behind a shorter word, too.
      return `${digits}${'\u0000'.repeat(number % 7)}`
    default:
      return `é${digits}東`
  }
}

/** Words with these numbers, a few spaces between them, through the kernel; their groups in the table. */
function assign(kernel: WordKernel, table: GroupTable, numbers: readonly number[], random: Random): number[] {
  const groups: number[] = []
  for (let from = 0; from < numbers.length; from += 1000) {
    const text = numbers.slice(from, from + 1000).map(number => wordOf(number) + random.pick([' ', '\n', '  ', '\t\r\n']))
    const { written } = new TextEncoder().encodeInto(text.join(''), kernel.text)
    for (let at = 0; at < written; at = kernel.resumesAt) {
      const count = kernel.split(at, written)
      const some = new Int32Array(count)
      table.assign([kernel.words(count)], allRows(count), count, some)
      groups.push(...some)
    }
  }
  return groups
}

test('numbers of words are those of a map, of few and of many, of one table and the next, of two by turns', async () => {
  await seeded(random => {
    const kernel = kernelOf()
    for (const different of [10, 1000, 100_000]) {
      const tables = [1, 2].map(() => ({ table: new GroupTable(1), expected: new Map<number, number>() }))
      for (let round = 0; round < 12; round++) {
        const { table, expected } = tables[round < 8 ? round >> 2 : round & 1] as (typeof tables)[number]
        // Small numbers are frequent.
        const numbers = Array.from({ length: 6000 }, () => random.below(1 + random.below(different)))
        const groups = assign(kernel, table, numbers, random)
        const known = numbers.map(number => {
          if (!expected.has(number)) expected.set(number, expected.size)
          return expected.get(number)
        })
        expect(groups).toEqual(known)
        expect(table.size).toBe(expected.size)
      }
      for (const { table, expected } of tables) {
        const [keys] = table.keys()
        for (const [number, group] of expected) expect(keys?.get(group)).toBe(wordOf(number))
      }
    }
    giveBack(kernel)
  })
})

test('words of up to eight chunks of bytes, of which each is a word or not, and where they end', async () => {
  await seeded(random => {
    const kernel = kernelOf()
    for (let round = 0; round < 3000; round++) {
      const size = random.below(200)
      const at = random.below(70)
      const isMostly = random.pick([2, 10, 100])
      const bytes = Uint8Array.from({ length: size }, () =>
        random.below(isMostly) === 0 ? random.pick([0x20, 9, 13]) : random.pick([0x61, 8, 14, 0, 0xff]),
      )
      kernel.text.fill(0x61, 0, 400)
      kernel.text.set(bytes, at)
      const text = Buffer.from(bytes).toString('latin1')
      const expected = text.split(/[ \t-\r]+/).filter(word => word !== '')
      const { starts, ends } = kernel.words(kernel.split(at, at + size))
      const words = Array.from(starts, (start, i) => Buffer.from(kernel.text.subarray(start, ends[i])).toString('latin1'))
      expect(words).toEqual(expected)
      expect(kernel.resumesAt).toBeGreaterThanOrEqual(at + size)
    }
    giveBack(kernel)
  })
})

test('as many words as there is room for, and then the rest', () => {
  const kernel = kernelOf()
  for (const [word, count] of [
    ['a', 32_768],
    ['abc', 16_384],
    ['abcdefg', 8192],
  ] as const) {
    new TextEncoder().encodeInto(`${word} `.repeat(count), kernel.text)
    const counts: number[] = []
    for (let at = 0; at < 65_536; at = kernel.resumesAt) {
      const some = kernel.split(at, 65_536)
      const { starts, ends } = kernel.words(some)
      for (let i = 0; i < some; i++) expect((ends[i] as number) - (starts[i] as number)).toBe(word.length)
      counts.push(some)
    }
    expect(counts.reduce((a, b) => a + b)).toBe(count)
    expect(Math.max(...counts)).toBeLessThanOrEqual(8192)
  }
  giveBack(kernel)
})

test('words are not numbered when others were split meanwhile, and go as any texts do where only some of them are wanted', () => {
  const kernel = kernelOf()
  const table = new GroupTable(1)
  new TextEncoder().encodeInto('one two one three', kernel.text)
  const words = kernel.words(kernel.split(0, 17))
  const groups = new Int32Array(2)
  table.assign([words], Int32Array.of(0, 2), 2, groups)
  expect([...groups]).toEqual([0, 0])
  table.find([words], Int32Array.of(1, 2), 2, groups)
  expect([...groups]).toEqual([-1, 0])
  kernel.split(0, 3)
  expect(() => table.assign([words], allRows(4), 4, new Int32Array(4))).toThrow('numbered before')
  expect(words).toBeInstanceOf(TextVector)
  giveBack(kernel)
})

/** Goal: keys compare as memcmp does, and the key hash, which is part of the file format, stays what it is and spreads well. */
import { expect, test } from 'vitest'
import { compareKeys, createKeyHash, hashKey } from '../../../../engine/batch/store-keys.ts'
import { fromText, seeded } from '../codec/random.ts'

function hashOf(text: string | Uint8Array, seed = 0): [number, number] {
  const bytes = typeof text === 'string' ? fromText(text) : text
  const hash = createKeyHash()
  hashKey(bytes, 0, bytes.length, hash, seed)
  return [hash[0]! >>> 0, hash[1]! >>> 0]
}

test('the order is that of Buffer.compare, at any position', async () => {
  await seeded(random => {
    for (let i = 0; i < 2000; i++) {
      const left = Uint8Array.from({ length: random.below(6) }, () => random.below(3) * 127)
      const right = Uint8Array.from({ length: random.below(6) }, () => random.below(3) * 127)
      const order = compareKeys(Uint8Array.of(9, ...left, 7), 1, left.length, Uint8Array.of(1, 2, ...right), 2, right.length)
      expect(Math.sign(order)).toBe(Buffer.compare(left, right))
    }
  })
})

test('the hash is frozen', () => {
  const words = ['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'key-000000000001'].map(word => hashOf(word))
  expect(words).toMatchInlineSnapshot(`
    [
      [
        694451869,
        1307990095,
      ],
      [
        2050791924,
        1571303987,
      ],
      [
        3022261687,
        2099105865,
      ],
      [
        3899887949,
        209356804,
      ],
      [
        143257408,
        1740857544,
      ],
      [
        3270299173,
        3093602008,
      ],
      [
        385519007,
        2778516962,
      ],
    ]
  `)
  expect(hashOf('abcd', 1)).toMatchInlineSnapshot(`
    [
      151970868,
      1749571004,
    ]
  `)
})

test('trailing zeros and lengths are told apart', () => {
  const seen = new Set<string>()
  for (let size = 0; size < 64; size++) seen.add(hashOf(new Uint8Array(size)).join())
  expect(seen.size).toBe(64)
})

test('each input bit changes about half of the output bits', () => {
  for (const size of [4, 7, 16, 33]) {
    const bytes = Uint8Array.from({ length: size }, (_, i) => i * 37)
    const before = hashOf(bytes)
    let changed = 0
    for (let bit = 0; bit < size * 8; bit++) {
      const flipped = bytes.slice()
      flipped[bit >>> 3]! ^= 1 << (bit & 7)
      const after = hashOf(flipped)
      const count = ones(before[0] ^ after[0]) + ones(before[1] ^ after[1])
      expect(count).toBeGreaterThan(12)
      changed += count
    }
    expect(changed / (size * 8)).toBeGreaterThan(29)
    expect(changed / (size * 8)).toBeLessThan(35)
  }
})

test('many similar keys collide in 64 bits never, in each lane as often as chance', () => {
  const count = 300_000
  const both = new Set<number>()
  const lane = new Set<number>()
  const bytes = fromText('user:0000000000')
  const hash = createKeyHash()
  for (let i = 0; i < count; i++) {
    let rest = i
    for (let at = 14; at > 4; at--, rest = Math.floor(rest / 10)) bytes[at] = 48 + (rest % 10)
    hashKey(bytes, 0, bytes.length, hash)
    lane.add(hash[0]!)
    both.add((hash[0]! >>> 0) * 2 ** 20 + (hash[1]! >>> 12))
  }
  expect(both.size).toBe(count)
  expect(count - lane.size).toBeLessThan(40)
})

function ones(value: number): number {
  let rest = value >>> 0
  let count = 0
  for (; rest !== 0; rest >>>= 1) count += rest & 1
  return count
}

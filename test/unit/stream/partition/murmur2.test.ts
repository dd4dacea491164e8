/** Goal: keys go to the partitions that Kafka's Java client gives them. The vectors are those of Kafka's own UtilsTest. */
import { expect, test } from 'vitest'
import { murmur2, murmur2OfText, partitionForHash } from '../../../../stream/partition/murmur2.ts'

const vectors: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
]

test.each(vectors)('hashes %s as Kafka does', (text, hash) => {
  expect(murmur2(new TextEncoder().encode(text))).toBe(hash)
  expect(murmur2OfText(text)).toBe(hash)
})

test('hashes bytes as Kafka does', () => {
  expect(murmur2(Uint8Array.of(97, 98, 99))).toBe(479470107)
})

test('hashes text that is not ASCII by its UTF-8', () => {
  for (const text of ['é', 'ключ', '🌋 lava', `${'x'.repeat(300)}ß`])
    expect(murmur2OfText(text)).toBe(murmur2(new TextEncoder().encode(text)))
})

test('gives partitions of negative hashes too', () => {
  for (const [text, hash] of vectors) {
    const partition = partitionForHash(hash, 7)
    expect([partition >= 0 && partition < 7, text]).toEqual([true, text])
  }
  expect(partitionForHash(-973932308, 100)).toBe((-973932308 & 0x7fffffff) % 100)
})

/** Goal: words are the longest runs of bytes that are no space and no TAB to CR, of any length, wherever a text lies in its memory; a chunk has a bound, whatever a row has. */
import { expect, test } from 'vitest'
import type { Receiver } from '../../../../compute/operator/receiver.ts'
import { SplitWords } from '../../../../compute/operator/split-words.ts'
import { ValueRows } from '../../../../compute/rows/chunk-data.ts'
import { Chunk } from '../../../../compute/vector/chunk.ts'
import { TextVector } from '../../../../compute/vector/vector.ts'
import { randomChunk, textVector } from '../../../support/random-chunks.ts'
import { type Random, seeded } from '../../engine/codec/random.ts'

class Words implements Receiver {
  readonly isSated = false
  readonly words: unknown[] = []
  readonly counts: number[] = []

  receive(chunk: Chunk): void {
    this.counts.push(chunk.count)
    this.words.push(...chunk.values())
  }

  finish(): void {}
}

function wordsOf(chunk: Chunk, path: string): Words {
  const end = new Words()
  new SplitWords({ kind: 'field', path }, end).receive(chunk)
  return end
}

const expectedOf = (texts: readonly (string | null)[]): string[] =>
  texts.flatMap(text => (text ?? '').split(/[ \t-\r]+/).filter(word => word !== ''))

const separators = [' ', ' ', '\t', '\n', '\r', '\v\f', '  ', ' \r\n ']
/** Control characters below the space, and what stands beside it, are no separators. */
const letters = ['a', 'b', '!', '\u0000', '\u0008', '\u000e', '\u001f', '\u007f', 'é', '東', '😀', '\u00a0', '\u0085']

function randomLine(random: Random): string {
  const words = Array.from({ length: random.below(12) }, () =>
    Array.from({ length: 1 + random.below(random.below(8) === 0 ? 40 : 9) }, () => random.pick(letters)).join(''),
  )
  const edge = (): string => (random.below(3) === 0 ? random.pick(separators) : '')
  return edge() + words.map((word, i) => (i === 0 ? word : random.pick(separators) + word)).join('') + edge()
}

test('words are those of a regular expression, of texts in one memory and of values', async () => {
  await seeded(random => {
    for (let round = 0; round < 300; round++) {
      const size = 1 + random.below(30)
      const texts = Array.from({ length: size }, () => (random.below(6) === 0 ? null : randomLine(random)))
      const chunk = randomChunk(random, { line: textVector(texts) }, size)
      const selected = Array.from(chunk.rows.subarray(0, chunk.count), row => texts[row] as string | null)
      expect(wordsOf(chunk, 'line').words).toEqual(expectedOf(selected))
      expect(wordsOf(new Chunk(new ValueRows([...texts, 5])), '').words).toEqual(expectedOf(texts))
    }
  })
})

test('what follows a text in its memory is no part of its last word, and its memory may end with it', () => {
  for (let size = 0; size <= 20; size++) {
    const text = ` ${'x'.repeat(size)}`
    for (const after of ['', 'y', 'yyy', 'yyyyyyy']) {
      const bytes = Buffer.from(text + after)
      const row = new TextVector(new Uint8Array(bytes), Int32Array.of(0), Int32Array.of(text.length))
      const data = { size: 1, field: () => row, value: () => text }
      expect(wordsOf(new Chunk(data), '').words, `${size} ${after}`).toEqual(expectedOf([text]))
    }
  }
})

test('a row of many words is several chunks', () => {
  const text = Array.from({ length: 30_000 }, (_, i) => `w${i}`).join(' ')
  const { words, counts } = wordsOf(new Chunk(new ValueRows(['first one', text, 'last'])), '')
  expect(words).toEqual(expectedOf(['first one', text, 'last']))
  expect(Math.max(...counts)).toBeLessThanOrEqual(8192)
})

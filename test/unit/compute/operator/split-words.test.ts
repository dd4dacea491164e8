/**
 * Goal: words are the longest runs of bytes that are no space and no TAB to CR, of any length, wherever a text lies in its memory; a chunk has a bound, whatever a row has. All of it with a
 * word kernel and without one.
 */
import { describe, expect, test } from 'vitest'
import { takeWordKernel } from '../../../../compute/group/word-kernel.ts'
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

function wordsOf(chunk: Chunk, path: string, takesKernel: boolean): Words {
  const end = new Words()
  const split = new SplitWords({ kind: 'field', path }, end, takesKernel)
  split.receive(chunk)
  split.finish()
  return end
}

/** A chunk of texts that lie in these bytes. */
function chunkOf(bytes: Uint8Array, starts: Int32Array, ends: Int32Array): Chunk {
  const rows = new TextVector(bytes, starts, ends)
  return new Chunk({ size: starts.length, field: () => rows, value: row => rows.get(row) })
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

test('this machine has a kernel', () => {
  expect(takeWordKernel()).toBeDefined()
})

describe.each([true, false])('with a kernel: %s', takesKernel => {
  test('words are those of a regular expression, of texts in one memory and of values', async () => {
    await seeded(random => {
      for (let round = 0; round < 300; round++) {
        const size = 1 + random.below(30)
        const texts = Array.from({ length: size }, () => (random.below(6) === 0 ? null : randomLine(random)))
        const chunk = randomChunk(random, { line: textVector(texts) }, size)
        const selected = Array.from(chunk.rows.subarray(0, chunk.count), row => texts[row] as string | null)
        expect(wordsOf(chunk, 'line', takesKernel).words).toEqual(expectedOf(selected))
        expect(wordsOf(new Chunk(new ValueRows([...texts, 5])), '', takesKernel).words).toEqual(expectedOf(texts))
      }
    })
  })

  test('what follows a text in its memory is no part of its last word, and its memory may end with it', () => {
    for (let size = 0; size <= 20; size++) {
      const text = ` ${'x'.repeat(size)}`
      for (const after of ['', 'y', 'yyy', 'yyyyyyy']) {
        const bytes = Buffer.from(text + after)
        const chunk = chunkOf(new Uint8Array(bytes), Int32Array.of(0), Int32Array.of(text.length))
        expect(wordsOf(chunk, '', takesKernel).words, `${size} ${after}`).toEqual(expectedOf([text]))
      }
    }
  })

  test('a row of many words is several chunks', () => {
    const text = Array.from({ length: 30_000 }, (_, i) => `w${i}`).join(' ')
    const { words, counts } = wordsOf(new Chunk(new ValueRows(['first one', text, 'last'])), '', takesKernel)
    expect(words).toEqual(expectedOf(['first one', text, 'last']))
    expect(Math.max(...counts)).toBeLessThanOrEqual(8192)
  })

  test('lines that follow each other, with any line end, with empty ones and nulls among them, longer than a window', async () => {
    await seeded(random => {
      for (let round = 0; round < 20; round++) {
        const size = 1 + random.below(6000)
        const texts: (string | null)[] = []
        const [starts, ends] = [new Int32Array(size), new Int32Array(size)]
        let all = ''
        for (let row = 0; row < size; row++) {
          const text = random.below(20) === 0 ? null : 'ab '.repeat(random.below(12)) + 'c'.repeat(random.below(3))
          texts.push(text)
          // A null's end may be anything.
          starts[row] = text === null ? -1 : all.length
          all += text ?? ''
          ends[row] = all.length
          all += random.pick(['\n', '\n', '\r\n', 'x', '', ' z', '\nx'])
        }
        const chunk = chunkOf(Buffer.from(all), starts, ends)
        expect(wordsOf(chunk, '', takesKernel).words).toEqual(expectedOf(texts))
      }
    })
  })

  test('words around the size of a window, and longer ones, with spaces before and behind them', () => {
    for (const size of [100, 65_533, 65_534, 65_535, 65_536, 65_537, 200_000]) {
      const text = (before: number, after: number): string => `${' '.repeat(before)}${'w'.repeat(size)}${' '.repeat(after)}`
      const texts = ['a b', text(0, 0), 'c', text(1, 1), '', text(70_000, 70_000), text(0, 1) + text(0, 0), 'd']
      expect(wordsOf(new Chunk(new ValueRows(texts)), '', takesKernel).words).toEqual(expectedOf(texts))
      const lines = Buffer.from(texts.join('\n'))
      const starts = Int32Array.from(texts, (_, i) => texts.slice(0, i).reduce((sum, { length }) => sum + length + 1, 0))
      const chunk = chunkOf(
        lines,
        starts,
        starts.map((start, i) => start + (texts[i] as string).length),
      )
      expect(wordsOf(chunk, '', takesKernel).words).toEqual(expectedOf(texts))
    }
  })
})

/** Goal: text of any size comes back as it was, wherever it stops being ASCII; bytes that are no UTF-8 are damage at any place of it. */
import { expect, test } from 'vitest'
import { readText } from '../../../../engine/codec/text.ts'

const sizes = [1, 11, 12, 13, 47, 48, 49, 50, 64, 511, 512, 513, 1000, 5000]

test.each(['ordinary', 'shared'])('text in %s memory', memory => {
  for (const size of sizes) {
    for (let at = 0; at < size; at += Math.max(1, Math.floor(size / 40))) {
      for (const odd of ['x', 'ü', '鴨', '🦆']) {
        const text = 'a'.repeat(at) + odd + 'b'.repeat(size - at - 1)
        const encoded = Buffer.from(`<${text}>`)
        const bytes = memory === 'shared' ? new Uint8Array(new SharedArrayBuffer(encoded.length)) : new Uint8Array(encoded.length)
        bytes.set(encoded)
        expect(readText(bytes, 1, bytes.length - 1)).toBe(text)
      }
    }
  }
})

test('bytes that are no UTF-8', () => {
  for (const size of sizes) {
    for (let at = 0; at < size; at += Math.max(1, Math.floor(size / 40))) {
      const bytes = new Uint8Array(size).fill(97)
      bytes[at] = 0xff
      expect(() => readText(bytes, 0, size)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    }
  }
})

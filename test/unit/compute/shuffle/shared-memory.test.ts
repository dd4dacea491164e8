/** Goal: blocks of an output never overlap, and memory that was handed back is used before new memory is taken, but no more of it is kept than the last job used. */
import { expect, test } from 'vitest'
import { piecesOf, reusePieces, SharedBlocks, settlePieces } from '../../../../compute/shuffle/shared-memory.ts'

const blockBytes = 300_000

/** Blocks of one output, some 5 MB. */
function someBlocks(): Uint8Array[] {
  const shared = new SharedBlocks()
  return Array.from({ length: 17 }, (_, i) => shared.allocate(blockBytes + i).fill(i))
}

test('blocks lie apart from each other, from multiples of eight on', () => {
  const blocks = someBlocks()
  for (const [i, block] of blocks.entries()) {
    expect([block.length, block.byteOffset % 8]).toEqual([blockBytes + i, 0])
    expect(block.every(byte => byte === i)).toBe(true)
  }
  settlePieces()
})

test('memory that was handed back is used again, and kept while jobs need it', () => {
  const pieces = piecesOf(someBlocks())
  expect(pieces.length).toBe(3)
  reusePieces(pieces)
  const again = piecesOf(someBlocks())
  expect(new Set(again)).toEqual(new Set(pieces))
  reusePieces(again)
  settlePieces()
  // The next job takes one piece: one stays.
  const one = new SharedBlocks()
  const piece = piecesOf([one.allocate(blockBytes)])
  expect(pieces).toContain(piece[0])
  reusePieces(piece)
  settlePieces()
  const last = piecesOf(someBlocks())
  expect(last.filter(known => pieces.includes(known)).length).toBe(1)
  settlePieces()
})

test('what is larger than a piece has memory of its own, which is not handed back', () => {
  const large = new SharedBlocks().allocate(5_000_000)
  expect([large.length, large.buffer.byteLength]).toEqual([5_000_000, 5_000_000])
  expect(piecesOf([large, new Uint8Array(2 << 20)])).toEqual([])
})

/**
 * Micro-benchmark of checksums: xxh64 and CRC-32C over inputs of several sizes, in private and in shared memory.
 *
 * Run after a build: node dist/bench/micro/checksums.js
 */

import { add, complete, cycle, suite } from 'benny'
import { crc32c } from '../../engine/codec/crc32c.ts'
import { loadChecksums, xxh64Into } from '../../engine/codec/xxh64.ts'

const sizes = [16, 100, 1024, 65_536, 1_048_576]
const digest = new Uint8Array(8)
let total = 0

await loadChecksums()
for (const [kind, buffer] of [['private', new ArrayBuffer(1 << 20)] as const, ['shared', new SharedArrayBuffer(1 << 20)] as const]) {
  const source = new Uint8Array(buffer)
  for (let i = 0; i < source.length; i++) source[i] = (i * 2654435761) >>> 24
  const xxh64s = sizes.map(size => add(`xxh64 ${size} B`, () => xxh64Into(source, 0, size, digest, 0)))
  const crcs = sizes.map(size =>
    add(`CRC-32C ${size} B`, () => {
      total ^= crc32c(source, 0, size)
    }),
  )
  await suite(`checksums, ${kind} memory`, ...xxh64s, ...crcs, cycle(), complete())
}
if (Number.isNaN(total)) throw new Error('the work was not done')

/**
 * What a stored block of a part holds: its bytes as they are, or decompressed by the codec that the index names for it.
 *
 * Called after the checksum over the stored bytes was looked at, with the same bytes. The index says how large the content is, so that nothing can
 * make the codec produce more: a block that holds more or less than that is damage. Positions in errors count from the beginning of the stored block.
 */
import { CODEC_NONE, codecNameOf, decompress } from '../codec/compression.ts'
import { damagedBytes } from '../codec/damage.ts'
import { isVarveError } from '../errors.ts'
import type { BlockIndex } from './part-index.ts'

/** Returns `stored` itself for a block that is not compressed. CORRUPT; CODEC_MISSING for a codec that is not installed. */
export function blockContent(index: BlockIndex, block: number, stored: Uint8Array): Uint8Array {
  const codec = index.codec(block)
  if (codec === CODEC_NONE) return stored
  const size = index.contentPosition(block + 1) - index.contentPosition(block)
  let content: Uint8Array
  try {
    content = decompress(codec, stored, size)
  } catch (error) {
    if (!isVarveError(error, 'TOO_LARGE')) throw error
    throw damagedBytes(`${codecNameOf(codec)} block holds more than its entry says`, 0, { block, expected: size }, error)
  }
  if (content.length === size) return content
  throw damagedBytes(`${codecNameOf(codec)} block holds less than its entry says`, 0, { block, expected: size, actual: content.length })
}

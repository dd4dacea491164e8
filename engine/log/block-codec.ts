/** Which codec the runs of a log are written with: the one option of a definition that the engine reads itself (see `LogDefinition.options`). */
import { CODEC_NONE, type CompressionName, compressionNames } from '../codec/compression.ts'
import type { LogDefinition } from './log.ts'

/** Id of the codec; CODEC_NONE without the option, and for a name that this version does not know. */
export function blockCodecOf({ options }: Pick<LogDefinition, 'options'>): number {
  return Math.max(CODEC_NONE, compressionNames.indexOf(options?.compression as CompressionName))
}

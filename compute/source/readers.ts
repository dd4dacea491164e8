/** Which reader opens the splits of a source in another thread, by the name that `SplitSet.share` gives. */
import { openLinesReader } from '../file/file-source.ts'
import { openParquetReader } from '../file/parquet-source.ts'
import type { OpenReader } from './source.ts'
import { openStoreReader } from './store-source.ts'
import { openTopicReader } from './topic-source.ts'

export const readers: Readonly<Record<string, OpenReader>> = {
  lines: openLinesReader,
  parquet: openParquetReader,
  store: openStoreReader,
  topic: openTopicReader,
}

/** Where the internal topics of a database are: made with `Topics`, one partition each, compacted, defined when something is first written. */
import type { InternalLogPlace } from '../internal/internal-log.ts'
import { coreOfTopic } from './topic.ts'
import type { Topics } from './topics.ts'

/** 'json': keys are text, values JSON, for whoever reads the topic. */
export function internalPlace(topics: Topics, name: string, content: 'json' | 'bytes'): InternalLogPlace {
  const codecs = content === 'json' ? ({ keyCodec: 'string', value: 'json' } as const) : ({ keyCodec: 'bytes', value: 'bytes' } as const)
  return {
    host: topics.host,
    existing: () => topics.core(name)?.partition(0),
    define: () => coreOfTopic(topics.open(name, { partitions: 1, cleanup: 'compact', ...codecs })).partition(0),
    topicIds: () => new Set(topics.host.list().map(({ id }) => id)),
  }
}

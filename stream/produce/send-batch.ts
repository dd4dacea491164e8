/**
 * Appends many records as one commit, in the turn of the call: the fast way in. Records of one partition become one batch (or several, at Kafka's
 * `max.message.bytes`), all of the call are durable together or not at all.
 */
import { type AppendCondition, versionCheck } from '../keys/expected-version.ts'
import type { StickyPartition } from '../partition/partitioner.ts'
import type { TopicCore } from '../topic/topic-core.ts'
import type { Accumulator } from './accumulator.ts'
import { GatheredRecords } from './gathered-records.ts'
import type { Outgoing, Sent } from './outgoing.ts'

/** Resolves, in the order of `items`, when all of them are durable by the database's word. */
export async function sendBatch<V, K>(
  core: TopicCore<V, K>,
  items: readonly (V | Outgoing<V, K>)[],
  sticky: StickyPartition,
  accumulator: Accumulator,
  condition?: AppendCondition,
): Promise<Sent[]> {
  if (!Array.isArray(items)) throw new TypeError(`records must be an array, got ${String(items)}`)
  const { host } = core
  const expected = versionCheck(core, condition)
  const gathered = new GatheredRecords<V, K>(core, sticky, host.environment.clock.now())
  try {
    const batchOf = new Uint32Array(items.length)
    for (let i = 0; i < items.length; i++) batchOf[i] = gathered.add(items[i] as V | Outgoing<V, K>, expected)
    if (gathered.isEmpty) return []
    // Only then: without a condition it is this turn's commit.
    if (expected !== undefined) await expected.index.built
    const committed = await accumulator.inTurn(() => {
      expected?.check()
      const made = host.commit(commit => gathered.append(commit))
      // At once: the next call of this turn fills the same memory.
      gathered.release()
      return made
    })
    await committed.acknowledged
    await accumulator.told(items.length)
    // Made only now: what lives as long as a write to the disk costs the garbage collector more than what is looked at once.
    return gathered.sent(batchOf, committed)
  } finally {
    gathered.release()
  }
}

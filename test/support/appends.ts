/**
 * What the operations have in common: they pick a log, draw records for it, and read back what was appended.
 */
import type { Commit, Durability, LocalLog, StoreRecord, TopicRecord } from '../../engine/log/log.ts'
import { modelOfSlice, modelOfStore, modelOfTopic, randomStoreRecords, randomTopicRecords } from './batches.ts'
import { check, equal } from './compare.ts'
import { appended, type LogModel, type ModelBatch, type ModelRecord, newestEpoch } from './log-model.ts'
import type { World } from './world.ts'

export interface Expected {
  readonly base: number
  readonly end: number
  readonly epoch: number
  readonly records: readonly ModelRecord[]
}

export function pickLog(world: World, suits: (model: LogModel) => boolean = () => true): LogModel | undefined {
  const found = [...world.state.values()].filter(suits)
  return found.length === 0 ? undefined : found[world.random.below(found.length)]
}

export function durabilityOf(world: World): Durability {
  const { durabilities } = world.swarm
  return durabilities[world.random.below(durabilities.length)] as Durability
}

/** Now and then far more than a frame holds. */
export function drawRecords(world: World, model: LogModel): { records: (TopicRecord | StoreRecord)[]; model: ModelRecord[] } {
  const { random, swarm } = world
  const count = 1 + random.below(swarm.recordsMax)
  const bytesMax = random.chance(0.03) ? 6000 : swarm.recordBytesMax
  if (model.definition.kind === 'topic') {
    const records = randomTopicRecords(random, count, bytesMax, world.environment.clock.now())
    return { records, model: records.map(modelOfTopic) }
  }
  const records = randomStoreRecords(random, count, bytesMax)
  return { records, model: records.map(modelOfStore) }
}

/** Reads back what was appended behind `kept`, compares it with the input, and gives the log with it. */
export function readBack(log: LocalLog, kept: LogModel, expected: readonly Expected[]): LogModel {
  const batches: ModelBatch[] = []
  const end = expected.at(-1)?.end ?? kept.end
  for (let offset = kept.end; offset < end; ) {
    const slice = log.read(offset, { bound: 'end', fillChecksums: true })
    check(slice.nextOffset > offset, `log ${log.name}: what was appended can be read`, offset, end)
    batches.push(...modelOfSlice(slice))
    offset = slice.nextOffset
  }
  equal(batches.length, expected.length, `log ${log.name}: appended batches`)
  for (const [index, batch] of batches.entries()) {
    const { base, end: batchEnd, epoch, records } = expected[index] as Expected
    const facts = (b: Expected): string => JSON.stringify([b.base, b.end, b.epoch, b.records])
    equal(facts(batch), facts({ base, end: batchEnd, epoch, records }), `log ${log.name}: batch at ${base} as it was given`)
  }
  return appended(kept, batches)
}

/** Draws one write to a log into a commit; the returned function gives the log after it. */
export function drawAppend(world: World, model: LogModel, commit: Commit, ends: Map<number, Expected[]>): void {
  const { random, database } = world
  const log = database.log(model.definition.name)
  const before = ends.get(model.definition.id) ?? []
  const base = before.at(-1)?.end ?? model.end
  const lastEpoch = before.at(-1)?.epoch ?? newestEpoch(model)
  const epoch = random.chance(0.1) ? lastEpoch + 1 + random.below(2) : lastEpoch
  const drawn = drawRecords(world, model)
  const expected = { base, end: base + drawn.records.length, epoch, records: drawn.model }
  commit.appendRecords(log, drawn.records as TopicRecord[], {
    ...(epoch === lastEpoch ? {} : { epoch }),
    ...(random.chance(0.2) ? { expectedOffset: base } : {}),
    ...(model.definition.kind === 'topic' && random.chance(0.1) ? { compression: 'gzip' as const } : {}),
  })
  ends.set(model.definition.id, [...before, expected])
}

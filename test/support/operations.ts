/**
 * The operations of the model test: each draws its arguments, calls the database, checks the answer, and records what the logs hold now.
 * A step never waits for the disk unless that is its purpose, so many commits share frames and background work overlaps.
 */
import { encodeRecordBatch } from '../../engine/batch/record-batch-codec.ts'
import { isVarveError } from '../../engine/errors.ts'
import { openLease } from '../../engine/lease/open-lease.ts'
import type { Commit, Durability, StoreRecord, TopicRecord } from '../../engine/log/log.ts'
import type { LogicalLog } from '../../engine/log/logical-log.ts'
import { encodeStoreBatch, modelOfSlice, modelOfStore, modelOfTopic, randomStoreRecords, randomTopicRecords } from './batches.ts'
import { check, compareContent, equal } from './compare.ts'
import {
  appended,
  findBatch,
  isOwner,
  type LogModel,
  type ModelBatch,
  type ModelRecord,
  newestEpoch,
  newLog,
  reset,
  trimmed,
  truncated,
  withLog,
  withMetadata,
  withoutLogs,
} from './log-model.ts'
import { produce } from './produce.ts'
import type { OperationName } from './swarm.ts'
import type { World } from './world.ts'

export interface Expected {
  readonly base: number
  readonly end: number
  readonly epoch: number
  readonly records: readonly ModelRecord[]
}

/** Does one thing. Background work and failures are the world's. */
export async function step(world: World): Promise<void> {
  world.counters.steps++
  const { operations } = world.swarm
  const name = world.state.size === 0 ? 'define' : (operations[world.random.below(operations.length)] as OperationName)
  try {
    await actions[name](world)
  } catch (error) {
    if (!isVarveError(error, 'BUSY')) throw error
    world.note(`${name}: busy`)
    // Nothing drains while an owner that does not advance holds back most of the tail.
    await Promise.race([world.database.drain(), pause(world, 50)])
  }
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
function drawRecords(world: World, model: LogModel): { records: (TopicRecord | StoreRecord)[]; model: ModelRecord[] } {
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
export function readBack(log: LogicalLog, kept: LogModel, expected: readonly Expected[]): LogModel {
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
function drawAppend(world: World, model: LogModel, commit: Commit, ends: Map<number, Expected[]>): void {
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

const actions: { readonly [name in OperationName]: (world: World) => Promise<void> | void } = {
  append: world => {
    const model = pickLog(world) as LogModel
    const ends = new Map<number, Expected[]>()
    const durability = durabilityOf(world)
    const committed = world.database.commit(commit => drawAppend(world, model, commit, ends), { durability })
    const expected = ends.get(model.definition.id) as Expected[]
    world.note(`append ${model.definition.name} ${expected[0]?.base}..${expected.at(-1)?.end} ${durability} -> ${committed.sequence}`)
    equal(committed.appends[0]?.baseOffset, expected[0]?.base, 'baseOffset of an append')
    world.record(withLog(world.state, readBack(world.database.log(model.definition.name), model, expected)), committed.sequence)
    world.follow(committed.sequence, committed)
  },

  /** Ready batches, several at once, with and without offsets of their own. */
  appendReady: world => {
    const { random } = world
    const model = pickLog(world) as LogModel
    const log = world.database.log(model.definition.name)
    // A follower's store log takes sequences with the offsets, which agree only where the offset is the sequence.
    const keepOffsets = random.chance(0.4) && (model.definition.kind === 'topic' || isOwner(model))
    const epoch = newestEpoch(model)
    const now = world.environment.clock.now()
    const expected: Expected[] = []
    const parts: Uint8Array[] = []
    let base = model.end
    for (let left = 1 + random.below(3); left > 0; left--) {
      const drawn = drawRecords(world, model)
      const own = keepOffsets ? base : random.below(1000)
      parts.push(
        model.definition.kind === 'topic'
          ? encodeRecordBatch(drawn.records as TopicRecord[], { baseOffset: own, epoch: keepOffsets ? epoch : -1 })
          : encodeStoreBatch(drawn.records as StoreRecord[], own, now, keepOffsets ? epoch : 0),
      )
      expected.push({ base, end: base + drawn.records.length, epoch, records: drawn.model })
      base += drawn.records.length
    }
    const answer = log.appendBatches(Buffer.concat(parts), { keepOffsets, durability: durabilityOf(world) })
    equal(answer.baseOffset, model.end, 'baseOffset of ready batches')
    const sequence = world.record(withLog(world.state, readBack(log, model, expected)))
    world.note(`append ${expected.length} ready ${log.name} ${model.end}..${base} -> ${sequence}`)
    world.follow(sequence, answer)
  },

  /** Several logs, metadata, trims and truncations in one commit. */
  commitMany: world => {
    const { random, database } = world
    const durability = durabilityOf(world)
    const ends = new Map<number, Expected[]>()
    let state = world.state
    const notes: string[] = []
    const committed = database.commit(
      commit => {
        for (const model of [...state.values()].filter(() => random.chance(0.5))) {
          const log = database.log(model.definition.name)
          const what = random.below(10)
          const { id } = model.definition
          if (what < 2 && isOwner(model) && log.highWatermark < model.end && !isCut(model, log)) {
            const kept = commitTruncation(world, model, commit, ends)
            state = withLog(state, kept)
            notes.push(`truncate ${model.definition.name} to ${kept.end}`)
            if (random.chance(0.5)) drawAppend(world, kept, commit, ends)
          } else if (what === 2 && log.highWatermark > model.start) {
            const offset = model.start + random.below(log.highWatermark - model.start + 1)
            commit.trimPrefix(log, offset)
            state = withLog(state, trimmed(model, offset))
            notes.push(`trim ${model.definition.name} to ${offset}`)
          } else if (what === 3) {
            const value = String(random.below(1000))
            commit.setMetadata(log, 'vote', Buffer.from(value))
            state = withLog(state, withMetadata(model, 'vote', value))
            notes.push(`vote ${model.definition.name} ${value}`)
          } else {
            for (let left = 1 + random.below(2); left > 0; left--) drawAppend(world, model, commit, ends)
            notes.push(`append ${model.definition.name} to ${ends.get(id)?.at(-1)?.end}`)
          }
        }
      },
      { durability },
    )
    if (committed.sequence === world.history.at(-1)?.sequence || notes.length === 0) return
    for (const [id, expected] of ends) {
      const model = state.get(id) as LogModel
      state = withLog(state, readBack(database.log(model.definition.name), model, expected))
    }
    world.note(`commit ${durability} -> ${committed.sequence}: ${notes.join(', ')}`)
    if (isUnchanged(state, world)) return
    world.record(state, committed.sequence)
    world.follow(committed.sequence, committed)
  },

  produce,

  metadata: world => {
    const model = pickLog(world) as LogModel
    const slot = world.random.chance(0.5) ? 'term' : 'note'
    const value = world.random.chance(0.2) ? undefined : String(world.random.below(1000))
    const answer = world.database
      .log(model.definition.name)
      .metadata.set(slot, value === undefined ? undefined : Buffer.from(value), { durability: durabilityOf(world) })
    const sequence = world.record(withLog(world.state, withMetadata(model, slot, value)))
    world.note(`metadata ${model.definition.name} ${slot} ${value} -> ${sequence}`)
    world.follow(sequence, answer)
  },

  trim: world => {
    const model = pickLog(world, candidate => world.database.log(candidate.definition.name).highWatermark > candidate.start)
    if (model === undefined) return
    const log = world.database.log(model.definition.name)
    const offset = model.start + 1 + world.random.below(log.highWatermark - model.start)
    const answer = log.trimPrefix(offset, { durability: durabilityOf(world) })
    const sequence = world.record(withLog(world.state, trimmed(model, offset)))
    world.note(`trim ${log.name} to ${offset} -> ${sequence}`)
    world.follow(sequence, answer)
  },

  truncate: world => {
    const suits = (model: LogModel): boolean => {
      const log = world.database.log(model.definition.name)
      return (isOwner(model) || world.random.chance(0.2)) && log.highWatermark < model.end && !isCut(model, log)
    }
    const model = pickLog(world, suits)
    if (model === undefined) return
    const log = world.database.log(model.definition.name)
    const ends = new Map<number, Expected[]>()
    let kept = model
    const committed = world.database.commit(
      commit => {
        kept = commitTruncation(world, model, commit, ends)
      },
      { durability: durabilityOf(world) },
    )
    world.note(
      `truncate ${log.name} from ${model.end} to ${ends.get(model.definition.id)?.at(-1)?.end ?? kept.end} -> ${committed.sequence}`,
    )
    world.record(withLog(world.state, readBack(log, kept, ends.get(model.definition.id) ?? [])), committed.sequence)
    world.follow(committed.sequence, committed)
  },

  advance: world => {
    const model = pickLog(world, isOwner)
    if (model === undefined) return
    const log = world.database.log(model.definition.name)
    const from = log.highWatermark
    if (log.durableOffset <= from) return
    let to = from + 1 + world.random.below(log.durableOffset - from)
    const batch = model.batches[findBatch(model.batches, to - 1)]
    if (batch !== undefined && world.random.chance(0.8)) to = Math.min(log.durableOffset, batch.end)
    log.advanceHighWatermark(to)
    world.note(`advance ${log.name} to ${to}`)
    world.amend(withLog(world.state, { ...model, highWatermark: to }))
  },

  reset: world => {
    const model = pickLog(world) as LogModel
    const log = world.database.log(model.definition.name)
    const offset = world.random.below(model.end + 20)
    const answer = log.resetTo(offset, { durability: durabilityOf(world) })
    const sequence = world.record(withLog(world.state, reset(model, offset)))
    world.note(`reset ${log.name} to ${offset} -> ${sequence}`)
    world.follow(sequence, answer)
  },

  define: world => {
    const { random, database } = world
    if (world.state.size >= world.swarm.logsMax) return
    const name = `log${world.names++}`
    const shape = random.below(6)
    const owner = random.chance(0.4) ? { highWatermark: 'owner' as const } : {}
    const definition =
      shape < 3
        ? { name, kind: 'topic' as const, ...owner, ...(shape === 0 ? { cleanup: 'compact' as const } : {}) }
        : { name, kind: 'store' as const, ...owner, ...(shape === 3 ? { body: true } : {}) }
    world.start(
      async () =>
        void (await edit(
          world,
          () => database.define([definition]),
          () => {
            const stored = database.get(name)
            check(stored !== undefined, 'a defined log is there at once', name)
            return withLog(world.state, newLog(stored))
          },
        )),
    )
    world.note(`define ${JSON.stringify(definition)}`)
  },

  drop: world => {
    const model = world.state.size > 1 ? pickLog(world) : undefined
    if (model === undefined) return
    world.note(`drop ${model.definition.name}`)
    const { database } = world
    world.start(() =>
      edit(
        world,
        () => database.drop([model.definition.name]),
        () => withoutLogs(world.state, [model.definition.id]),
      ),
    )
  },

  rename: world => {
    const model = pickLog(world) as LogModel
    const name = `log${world.names++}`
    world.note(`rename ${model.definition.name} to ${name}`)
    const { database } = world
    world.start(() =>
      edit(
        world,
        () => database.rename(model.definition.name, name),
        () => withLog(world.state, { ...model, definition: { ...model.definition, name } }),
      ),
    )
  },

  sync: async world => {
    world.note('sync')
    const ends = [...world.state.values()].map(({ definition, end }) => ({ log: world.database.log(definition.name), end }))
    const sequence = world.history.at(-1)?.sequence ?? 0
    await world.database.flush()
    world.durableSequence = Math.max(world.durableSequence, sequence)
    for (const { log, end } of ends)
      if (!log.dropped)
        check(log.durableOffset >= Math.min(end, log.endOffset), 'flush makes all durable', log.name, log.durableOffset, end)
  },

  seal: world => runLong(world, 'seal', () => world.database.seal()),
  consolidate: world => runLong(world, 'consolidate', () => world.database.consolidate()),
  compact: world => {
    const model = pickLog(world, ({ definition }) => definition.kind === 'store' || definition.cleanup === 'compact')
    if (model === undefined) return
    const deleteRetentionMs = world.random.chance(0.5) ? 0 : 1000
    runLong(world, `compact ${model.definition.name}`, () => world.database.compactLog(model.definition.name, { deleteRetentionMs }))
  },

  lease: world => {
    if (world.leases.length > 3) return
    const owned = world.database.lease({ bound: world.random.chance(0.5) ? 'end' : 'durable' })
    world.note('lease')
    world.leases.push({ owned, description: structuredClone(owned.share()), state: world.state })
  },

  /** Reads what a lease keeps, as another thread would, and gives it back. */
  releaseLease: async world => {
    const held = world.leases.splice(world.random.below(Math.max(1, world.leases.length)), 1)[0]
    if (held === undefined) return
    world.note('read and release a lease')
    const lease = await openLease(held.description, world.environment.files)
    for (const model of held.state.values()) {
      const leased = lease.log(model.definition.name)
      const { startOffset, endOffset } = leased
      check(endOffset <= model.end && startOffset >= model.start, `lease of ${model.definition.name}`, startOffset, endOffset, model.end)
      const batch = model.batches[findBatch(model.batches, endOffset)]
      const end = batch !== undefined && batch.base < endOffset ? batch.base : endOffset
      if (startOffset < end) {
        const read = (offset: number): ReturnType<typeof leased.read> => leased.read(offset, { fillChecksums: true })
        compareContent(read, model, startOffset, end, `lease of ${model.definition.name}`)
      }
    }
    lease.release()
    held.owned.release()
  },

  /** A commit that must fail as a whole, at its end. */
  refuse: world => {
    const { database, random } = world
    const model = pickLog(world) as LogModel
    const log = database.log(model.definition.name)
    const ends = new Map<number, Expected[]>()
    try {
      database.commit(commit => {
        drawAppend(world, model, commit, ends)
        if (random.chance(0.5)) commit.setMetadata(log, 'note', Buffer.from('refused'))
        if (random.chance(0.5))
          commit.appendRecords(log, drawRecords(world, model).records as TopicRecord[], { expectedOffset: model.end + 999 })
        else throw new Error('refused by the callback')
      })
      check(false, 'a bad commit is refused', log.name)
    } catch (error) {
      const expected = isVarveError(error, 'OFFSET_MISMATCH') || (error instanceof Error && error.message === 'refused by the callback')
      if (!expected) throw error
    }
    equal(log.endOffset, model.end, `log ${log.name}: a refused commit changes nothing`)
  },

  pause: world => pause(world, world.random.below(4)),
  settle: async world => {
    await pause(world, 20)
    world.compareAll()
  },
}

export function pause(world: World, ms: number): Promise<void> {
  return new Promise(resolve => void world.environment.scheduler.after(ms, resolve))
}

/** An edit takes effect in memory at the call, and is durable when it resolves. */
async function edit(world: World, run: () => Promise<unknown>, after: () => ReturnType<typeof withoutLogs>): Promise<void> {
  const done = run()
  const sequence = world.record(after())
  await done
  world.durableSequence = Math.max(world.durableSequence, sequence)
}

/** Work that goes on in the background; a log that is dropped or a database that closes meanwhile may end it. */
function runLong(world: World, name: string, run: () => Promise<void>): void {
  if (world.background.size > 6) return
  world.note(name)
  world.start(run)
}

/** True when the high watermark lies inside a batch: truncating there is refused by offset, not by batch. */
function isCut(model: LogModel, log: LogicalLog): boolean {
  return model.batches.some(batch => batch.base < log.highWatermark && batch.end > log.highWatermark)
}

/** Truncates at a random offset; a batch that is cut comes back with the records that stay. Gives the log without it. */
function commitTruncation(world: World, model: LogModel, commit: Commit, ends: Map<number, Expected[]>): LogModel {
  const log = world.database.log(model.definition.name)
  const offset = log.highWatermark + world.random.below(model.end - log.highWatermark + 1)
  commit.truncateSuffix(log, offset)
  const { log: kept, cut } = truncated(model, offset)
  if (cut !== undefined) {
    const records = cut.records.slice(0, offset - cut.base)
    ends.set(model.definition.id, [{ base: cut.base, end: offset, epoch: cut.epoch, records }])
  }
  return kept
}

function isUnchanged(state: World['state'], world: World): boolean {
  return state === world.state || [...state].every(([id, log]) => world.state.get(id) === log)
}

/**
 * The operations of the model test: each draws its arguments, calls the database, checks the answer, and records what the logs hold now.
 * A step never waits for the disk unless that is its purpose, so many commits share frames and background work overlaps.
 */
import { encodeRecordBatch } from '../../engine/batch/record-batch-codec.ts'
import { isVarveError } from '../../engine/errors.ts'
import type { Commit, LocalLog, StoreRecord, TopicRecord } from '../../engine/log/log.ts'
import { drawAppend, drawRecords, durabilityOf, type Expected, pickLog, readBack } from './appends.ts'
import { encodeStoreBatch } from './batches.ts'
import { check, equal } from './compare.ts'
import { findBatch, isOwner, type LogModel, newestEpoch, reset, trimmed, truncated, withLog, withMetadata } from './log-model.ts'
import { produce } from './produce.ts'
import type { OperationName } from './swarm.ts'
import { type Actions, pause, upkeep } from './upkeep.ts'
import type { World } from './world.ts'

/** Does one thing. Background work and failures are the world's. */
export async function step(world: World): Promise<void> {
  world.counters.steps++
  const { operations } = world.swarm
  const name = world.state.size === 0 ? 'define' : (operations[world.random.below(operations.length)] as OperationName)
  try {
    await actions[name]?.(world)
  } catch (error) {
    if (!isVarveError(error, 'BUSY')) throw error
    world.note(`${name}: busy`)
    // Nothing drains while an owner that does not advance holds back most of the tail.
    await Promise.race([world.database.drain(), pause(world, 50)])
  }
}

const writes: Actions = {
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

const actions: Actions = { ...writes, ...upkeep }

/** True when the high watermark lies inside a batch: truncating there is refused by offset, not by batch. */
function isCut(model: LogModel, log: LocalLog): boolean {
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

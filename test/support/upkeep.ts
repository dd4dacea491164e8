/**
 * Operations that change no record: definitions, syncs, flushes, merges, leases. Most go on in the background while later steps run.
 */
import { openLease } from '../../engine/lease/open-lease.ts'
import { pickLog } from './appends.ts'
import { check, compareContent } from './compare.ts'
import { findBatch, type LogModel, newLog, withLog, withoutLogs } from './log-model.ts'
import type { OperationName } from './swarm.ts'
import type { World } from './world.ts'

export type Actions = { readonly [name in OperationName]?: (world: World) => Promise<void> | void }

export const upkeep: Actions = {
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

  /** The worker thread dies; whoever waits for its task is told, and the next task gets another worker. */
  killWorker: world => {
    world.note('kill the worker')
    world.workerWasKilled = true
    world.environment.killWorkers()
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

/**
 * The steps of the store model: each draws what it does, calls the database, checks the answer, and records what the stores hold now. A step waits for
 * the disk only now and then, so that commits share frames and background work overlaps.
 */
import { isVarveError } from '../../engine/errors.ts'
import type { DefinedLog, Durability } from '../../engine/log/log.ts'
import { type BatchOperation, coreOf } from '../../engine/store/store.ts'
import { check, equal } from './compare.ts'
import {
  applied,
  declared,
  drawDeletedRange,
  drawKey,
  drawOperation,
  drawValue,
  indexNames,
  isUnique,
  isVisible,
  type Operation,
  type StoreState,
  type Value,
} from './store-content.ts'
import { compareFeed } from './store-feed.ts'
import { moments } from './store-moments.ts'
import { transact } from './store-transactions.ts'
import type { StoreWorld, TakenSnapshot } from './store-world.ts'

type Action = (world: StoreWorld) => Promise<void> | void

/** Does one thing. Background work and failures are the world's. */
export async function storeStep(world: StoreWorld): Promise<void> {
  world.counters.steps++
  const { random, swarm } = world
  const drawn = random.fraction()
  const actions = drawn < swarm.upkeep ? upkeep : random.chance(swarm.transactions) ? [transact] : verbs
  try {
    await (actions[random.below(actions.length)] as Action)(world)
  } catch (error) {
    if (!isVarveError(error, 'BUSY')) throw error
    world.note('busy')
    await world.database.drain()
  }
}

/** Never ends when the process does. */
export function pause(world: StoreWorld, ms: number): Promise<void> {
  return new Promise(resolve => void world.environment.timers.after(ms, resolve))
}

/** One commit, or its refusal where a unique value would be there twice. */
async function write(
  world: StoreWorld,
  operations: readonly Operation[],
  run: (durability: Durability) => Promise<unknown>,
): Promise<void> {
  const { random } = world
  const durability = world.drawDurability()
  const state = applied(world.state, operations)
  world.note(`${durability} ${operations.map(textOf).join(' ')}`)
  if (!isUnique(state.main, world.now)) {
    const before = world.sequence
    await refused(run(durability))
    equal(world.sequence, before, 'a refused write writes nothing')
    return
  }
  const { isWritten, done } = world.commit(state, durability, () => run(durability))
  if (!isWritten) await done
  for (const operation of operations) if (operation.type === 'put') checkPoint(world, state, operation.key)
  if (random.chance(0.25)) await done
}

/** Waits for the refusal of a second unique value. */
export async function refused(written: Promise<unknown>): Promise<void> {
  const error = await written.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!isVarveError(error, 'UNIQUE')) throw error ?? new Error('a unique value is there twice')
}

function checkPoint(world: StoreWorld, state: StoreState, key: string): void {
  const item = state.main.get(key)
  const value = item !== undefined && isVisible(item, world.now) ? item.value : undefined
  equal(JSON.stringify(world.main.get(key)), JSON.stringify(value), `get ${key} after a write`)
}

export function textOf(operation: Operation): string {
  if (operation.type === 'delRange') return `delRange ${JSON.stringify(operation.range)}`
  if (operation.type !== 'put') return `${operation.type} ${operation.key}${operation.type === 'other' ? `=${operation.value}` : ''}`
  const { u, c, t } = operation.value
  return `put ${operation.key} ${JSON.stringify({ u, c, t })}${operation.expiresAt === undefined ? '' : ` until ${operation.expiresAt}`}`
}

export function batchOf(world: StoreWorld, operations: readonly Operation[]): BatchOperation<never, never>[] {
  const store = world.other
  return operations.map(operation => {
    if (operation.type !== 'other') return operation
    const { key, value } = operation
    return value === undefined ? { type: 'del', key, store } : { type: 'put', key, value, store }
  }) as BatchOperation<never, never>[]
}

export function drawOperations(world: StoreWorld, count: number): Operation[] {
  return Array.from({ length: count }, () => drawOperation(world.random, world.swarm, world.now, world.names++))
}

const put: Action = world => {
  const { random, swarm, main } = world
  const key = drawKey(random, swarm)
  const value = drawValue(random, swarm, world.names++)
  const ttlMs = random.chance(swarm.expiring) ? 1 + random.below(swarm.lifeMsMax) : undefined
  const expiry = ttlMs === undefined ? {} : { expiresAt: world.now + ttlMs }
  return write(world, [{ type: 'put', key, value, ...expiry }], durability => main.put(key, value, { durability, ttlMs }))
}

const del: Action = world => {
  const key = drawKey(world.random, world.swarm)
  return write(world, [{ type: 'del', key }], durability => world.main.del(key, { durability }))
}

const batch: Action = world => {
  const { random } = world
  const operations = drawOperations(world, random.chance(0.1) ? 60 : 1 + random.below(12))
  return write(world, operations, durability => world.main.batch(batchOf(world, operations), { durability }))
}

const delRange: Action = world => {
  const range = drawDeletedRange(world.random, world.swarm)
  return write(world, [{ type: 'delRange', range }], durability => world.main.delRange(range, { durability }))
}

const compareAndSet: Action = world => {
  const { random, swarm, main } = world
  const key = drawKey(random, swarm)
  const item = world.state.main.get(key)
  const current = item !== undefined && isVisible(item, world.now) ? item.value : undefined
  const expected: Value | undefined = random.chance(0.6) ? current : { pad: 'another' }
  const value = random.chance(0.3) ? undefined : drawValue(random, swarm, world.names++)
  const isSame = current === expected
  const operations: Operation[] = !isSame ? [] : [value === undefined ? { type: 'del', key } : { type: 'put', key, value }]
  return write(world, operations, async durability => {
    equal(await main.compareAndSet(key, expected, value, { durability }), isSame, `compareAndSet ${key}`)
  })
}

const read: Action = world => world.compare(world.state)

const readLater: Action = async world => {
  const { random, swarm } = world
  const key = drawKey(random, swarm)
  const found = world.main.getAsync(key)
  const value = await found
  // Nothing else was written meanwhile; it may have expired.
  const item = world.state.main.get(key)
  if (item === undefined || item.expiresAt === 0) equal(JSON.stringify(value), JSON.stringify(item?.value), `getAsync ${key}`)
}

const takeSnapshot: Action = world => {
  if (world.snapshots.length < 3) world.snapshots.push({ snapshot: world.database.snapshot(), state: world.state })
}

const readSnapshot: Action = world => {
  const { random, snapshots } = world
  if (snapshots.length === 0) return
  const index = random.below(snapshots.length)
  const taken = snapshots[index] as TakenSnapshot
  world.compare(taken.state, taken.snapshot)
  if (random.chance(0.5)) return
  snapshots.splice(index, 1)
  taken.snapshot.close()
}

const readFeed: Action = compareFeed

const verbs: readonly Action[] = [
  ...[put, put, put, put, put, put, del, del, batch, batch, batch, batch, delRange, compareAndSet],
  ...[read, read, readLater, takeSnapshot, readSnapshot],
]

// --- maintenance ---------------------------------------------------------------------------------------------------------------------------

const seal: Action = world => {
  world.note('seal')
  world.start(() => world.database.seal())
}

const compact: Action = world => {
  const store = world.random.chance(0.8) ? world.main : world.other
  world.note(`compact ${store.name}`)
  world.start(() => store.compact())
}

const compactIndex: Action = world => {
  const logs = world.database.list().filter(({ name }) => name.startsWith('index/') || name.startsWith('expiry/'))
  if (logs.length === 0) return
  const { name } = logs[world.random.below(logs.length)] as DefinedLog
  world.start(() => world.database.compactLog(name))
}

const consolidate: Action = world => world.start(() => world.database.consolidate())

const flush: Action = async world => {
  world.note('flush')
  const { sequence } = world
  await world.database.flush()
  world.durableSequence = Math.max(world.durableSequence, sequence)
}

const wait: Action = world => {
  const ms = world.random.chance(0.3) ? world.random.below(12_000) : world.random.below(30)
  world.note(`wait ${ms} ms`)
  return pause(world, ms)
}

const trimFeed: Action = async world => {
  const { random, history } = world
  const { log } = coreOf(world.main)
  const { highWatermark } = log
  const newest = Math.max(...world.trims)
  const ends = history.map(({ state }) => state.feedEnd).filter(end => end > newest && end <= highWatermark)
  if (ends.length === 0) return
  const end = ends[random.below(Math.ceil(ends.length / 2))] as number
  world.note(`trim the feed to ${end}`)
  world.trims.push(end)
  await world.main.trimChanges(end)
  equal(log.startOffset, end, 'start of a trimmed feed')
}

/** Drops an index and builds it again, while other steps write. */
const rebuildIndex: Action = world => {
  const name = indexNames[world.random.below(indexNames.length)]
  // A write that breaks an unfinished unique index would end its building.
  if (name === undefined || world.rebuilding !== undefined || name === 'u') return
  world.note(`rebuild index ${name}`)
  world.rebuilding = name
  world.start(async () => {
    await world.main.dropIndex(name)
    const again = world.database.store(world.state.mainName, { indexes: declared })
    await again.ready()
    check(again.indexNames().includes(name), 'the index is there again', name)
    world.rebuilding = undefined
  })
}

const killWorker: Action = world => {
  if (!world.random.chance(0.2)) return
  world.note('kill the worker')
  world.workerWasKilled = true
  world.environment.killWorkers()
}

const upkeep: readonly Action[] = [
  ...[seal, seal, seal, compact, compact, compactIndex, consolidate],
  ...[flush, wait, wait, wait, trimFeed, rebuildIndex, readFeed, killWorker],
  ...moments,
]

/**
 * Transactions of the store model: synchronous bodies, and ones that wait between reads and writes while other commits come in between. The model knows
 * which of those the transaction has read, and so whether it must run again; what a run read is compared with the moment of its commit.
 */

import { isVarveError } from '../../engine/errors.ts'
import type { Durability } from '../../engine/log/log.ts'
import { coreOf } from '../../engine/store/store.ts'
import type { Transaction } from '../../engine/store/transaction.ts'
import { check, equal } from './compare.ts'
import {
  applied,
  drawKey,
  drawRange,
  drawValue,
  entriesIn,
  isUnique,
  type Operation,
  type Range,
  type StoreState,
} from './store-content.ts'
import { drawOperations, pause, refused, textOf } from './store-steps.ts'
import type { StoreWorld } from './store-world.ts'

/** What a run has read, as text, and how to read the same from a state. */
interface Reads {
  readonly keys: readonly string[]
  readonly range: Range
}

function readIn(state: StoreState, { keys, range }: Reads, now: number): string {
  const all = new Map(entriesIn(state.main, {}, now))
  return JSON.stringify([keys.map(key => all.get(key) ?? null), entriesIn(state.main, range, now)])
}

function read(world: StoreWorld, tx: Transaction, { keys, range }: Reads): string {
  const store = tx.store(world.main)
  return JSON.stringify([keys.map(key => store.get(key) ?? null), [...store.entries(range)]])
}

function writeTo(world: StoreWorld, tx: Transaction, operations: readonly Operation[]): void {
  const main = tx.store(world.main)
  const other = tx.store(world.other)
  for (const operation of operations) {
    if (operation.type === 'put') {
      const { key, value, expiresAt } = operation
      main.put(key, value, expiresAt === undefined ? {} : { expiresAt })
    } else if (operation.type === 'del') main.del(operation.key)
    else if (operation.type === 'delRange') main.delRange(operation.range)
    else if (operation.value === undefined) other.del(operation.key)
    else other.put(operation.key, operation.value)
  }
}

export async function transact(world: StoreWorld): Promise<void> {
  const { random, swarm } = world
  const reads: Reads = {
    keys: Array.from({ length: random.below(4) }, () => drawKey(random, swarm)),
    range: random.chance(0.5) ? drawRange(random, swarm) : { gte: 'x' },
  }
  const operations = drawOperations(world, 1 + random.below(6))
  const durability = world.drawDurability()
  if (random.chance(0.5)) await transactNow(world, reads, operations, durability)
  else await transactLater(world, reads, operations, durability)
}

async function transactNow(world: StoreWorld, reads: Reads, operations: readonly Operation[], durability: Durability): Promise<void> {
  const { random, database } = world
  const expected = readIn(world.state, reads, world.now)
  const state = applied(world.state, operations)
  const how = random.below(6)
  world.note(`transaction ${how === 0 ? 'aborted' : durability} ${operations.map(textOf).join(' ')}`)
  const run = (): Promise<unknown> =>
    database.transaction(
      tx => {
        equal(read(world, tx, reads), expected, 'reads of a transaction')
        writeTo(world, tx, operations)
        const after = read(world, tx, reads)
        equal(after, readIn(state, reads, world.now), 'reads of a transaction after its own writes')
        if (how === 0) tx.abort()
      },
      { durability },
    )
  const before = world.sequence
  if (how === 0) await run()
  else if (!isUnique(state.main, world.now)) await refused(run())
  else {
    const { isWritten, done } = world.commit(state, durability, run)
    if (!isWritten || random.chance(0.4)) await done
    return
  }
  equal(world.sequence, before, 'an aborted or refused transaction writes nothing')
}

/** The commit comes in a turn of its own. Nothing else commits between the end of the body and that turn, so the next sequence is its. */
async function transactLater(world: StoreWorld, reads: Reads, operations: readonly Operation[], durability: Durability): Promise<void> {
  const { random, database, environment } = world
  const intruder = random.chance(0.6) ? drawKey(random, world.swarm) : undefined
  let runs = 0
  let isStale = false
  let isUniqueThere = true
  let recorded: number | undefined
  const forget = (): void => {
    if (recorded !== undefined && world.history.at(-1)?.sequence === recorded) world.history.pop()
    recorded = undefined
  }
  world.note(`async transaction ${durability}, intruder ${intruder} ${operations.map(textOf).join(' ')}`)
  const done = database.transaction(
    async tx => {
      runs++
      forget()
      const before = world.state
      // What expires at the transaction's moment is decided by its clock.
      const now = world.now
      const found = read(world, tx, reads)
      equal(found, readIn(before, reads, now), 'reads of a transaction')
      await pause(world, random.below(3))
      if (runs === 1 && intruder !== undefined) intrude(world, intruder)
      writeTo(world, tx, operations)
      isStale = found !== readIn(world.state, reads, now)
      const state = applied(world.state, operations)
      isUniqueThere = isUnique(state.main, world.now)
      if (isStale || !isUniqueThere) return
      recorded = world.sequence + 1
      world.record({ ...state, feedEnd: -1 }, recorded)
      void whenCommitted(world, recorded)
    },
    { durability },
  )
  try {
    await done
  } catch (error) {
    if (!environment.isAlive) return
    forget()
    if (isVarveError(error, 'UNIQUE') && !isUniqueThere) return
    throw error
  }
  if (!environment.isAlive) return
  check(!isStale, 'a transaction that read what was overwritten runs again', runs)
  check(isUniqueThere, 'a transaction with a second unique value is refused')
  if (recorded === undefined) return
  // A commit that writes nothing (range deletes over nothing) takes no sequence.
  if (world.state.feedEnd < 0) {
    forget()
    return
  }
  const { sequence } = world.history.at(-1) as { readonly sequence: number }
  if (durability !== 'none') world.writtenSequence = Math.max(world.writtenSequence, sequence)
  if (durability === 'sync') world.durableSequence = Math.max(world.durableSequence, sequence)
}

/** Sees the commit in the turn in which it comes, before anything else can commit. */
async function whenCommitted(world: StoreWorld, least: number): Promise<void> {
  const { environment } = world
  for (let i = 0; i < 50 && environment.isAlive; i++) {
    await undefined
    if (!environment.isAlive || world.history.at(-1)?.sequence !== least || world.state.feedEnd >= 0) return
    if (world.sequence < least) continue
    world.amend({ ...world.state, feedEnd: coreOf(world.main).log.endOffset }, world.sequence)
    return
  }
}

/** A commit beside the transaction. */
function intrude(world: StoreWorld, key: string): void {
  const { random, swarm, main } = world
  const value = { pad: drawValue(random, swarm, world.names++).pad }
  const durability = world.drawDurability()
  const { isWritten, done } = world.commit(applied(world.state, [{ type: 'put', key, value }]), durability, () =>
    main.put(key, value, { durability }),
  )
  // BUSY: there is none then.
  if (!isWritten) done.catch(() => undefined)
}

/**
 * Builds an index over the records that a store had before the index: in the background, in bounded steps, while writes go on.
 *
 * One step is one turn: read the next records as they are now, commit their entries together with the position reached (a slot of the index's log).
 * Nothing can be written between reading and committing, and writes maintain the index from its definition on, so no snapshot is needed; entries are
 * idempotent. A last commit marks the index as built; after a crash the next opening goes on at the durable position.
 *
 * Started by `Stores`. A step waits while the database is BUSY; a duplicate in a unique index (UNIQUE), or an entry that is too large, ends the build
 * with `index.failure` until the index is declared again.
 */
import type { Timers } from '../env/environment.ts'
import { assert, isVarveError, VarveError } from '../errors.ts'
import type { Committed } from '../log/log.ts'
import { entryKey, indexedValues, keyText, startOf } from './index-entries.ts'
import { type Index, type StoreIndexes, uniqueError } from './indexes.ts'
import type { StoreKey } from './key-codec.ts'
import { type StoreCore, successor } from './store-core.ts'

/** Records that one step reads at most. */
const stepRecordsMax = 250
/** Entries after which a step ends. */
const stepEntriesMax = 500
const busyWaitMs = 20
const positionSlot = 'position'

/** Resolves when the index is built, durably, or was dropped. Rejects with CLOSED, POISONED, UNIQUE, TOO_LARGE, CORRUPT, IO. */
export async function buildIndex(core: StoreCore, index: Index, timers: Timers): Promise<void> {
  index.failure = undefined
  try {
    while (index.builtSequence === undefined) {
      await new Promise<void>(resolve => timers.soon(resolve))
      core.host.assertOpen()
      if (index.log.dropped || core.log.dropped) return
      let step: Step
      try {
        step = indexesOf(core).collect(() => commitStep(core, index))
      } catch (error) {
        if (!isVarveError(error, 'BUSY')) throw error
        await new Promise<void>(resolve => timers.after(busyWaitMs, resolve))
        continue
      }
      await (step.isLast ? step.committed.durable : step.committed.acknowledged)
    }
  } catch (error) {
    index.failure =
      error instanceof VarveError ? error : new VarveError('TASK_FAILED', `building index ${index.name} failed`, { cause: error })
    throw index.failure
  }
}

function indexesOf({ indexes }: StoreCore): StoreIndexes {
  assert(indexes !== undefined, 'a store with an index has its indexes')
  return indexes
}

interface Step {
  readonly committed: Committed
  readonly isLast: boolean
}

function commitStep(core: StoreCore, index: Index): Step {
  const { host } = core
  const position = index.log.metadata.get(positionSlot)
  const now = host.now()
  const cursor = core.cursor({
    start: position === undefined ? undefined : successor(position),
    sequenceMax: core.sequenceMax(undefined),
    now,
  })
  index.begin()
  let last: Uint8Array | undefined
  for (let records = 0; records < stepRecordsMax && index.writes.count < stepEntriesMax && cursor.next(); records++) {
    const { record } = cursor
    last = record.buffer.slice(record.keyStart, record.keyStart + record.keyBytes)
    const { expiry } = record
    addEntries(core, index, last, core.decode(record), expiry, now)
  }
  if (last === undefined) {
    const sequence = host.visibleSequence
    const committed = host.commit(commit => {
      index.markBuilt(commit, sequence)
      commit.setMetadata(index.log, positionSlot, undefined)
    }, 'sync')
    return { committed, isLast: true }
  }
  const reached = last
  const committed = host.commit(commit => {
    if (index.writes.count > 0) commit.appendWrites(index.log, index.writes)
    commit.setMetadata(index.log, positionSlot, reached)
  }, 'buffered')
  return { committed, isLast: false }
}

function addEntries(core: StoreCore, index: Index, key: Uint8Array, value: unknown, expiry: number, now: number): void {
  const { unique, multi } = index.stored
  const seen = multi ? new Set<string>() : undefined
  for (const values of indexedValues(index.rule, value)) {
    if (seen !== undefined) {
      const element = keyText(startOf(values))
      if (seen.has(element)) continue
      seen.add(element)
    }
    if (unique) claim(core, index, key, values, now)
    index.put(entryKey(values, key), expiry)
  }
}

/** UNIQUE when another key has the value, in what is built so far or in this step. */
function claim(core: StoreCore, index: Index, key: Uint8Array, values: readonly StoreKey[], now: number): void {
  const text = keyText(startOf(values))
  const claimant = index.claimed.get(text)
  if (claimant !== undefined) throw uniqueError(core, index, key, Buffer.from(claimant, 'latin1'))
  index.claimed.set(text, keyText(key))
  const holder = index.holder(values, core.sequenceMax(undefined), now, primaryKey => Buffer.compare(primaryKey, key) === 0)
  if (holder !== undefined) throw uniqueError(core, index, key, holder)
}

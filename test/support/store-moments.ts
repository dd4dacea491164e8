/**
 * Moments of the machine with stores that are kept beside the newest one, and stores that come and go: what has to hold of each, and the steps that make them.
 *
 *   history   every moment within the retention can be read and shows the state of then; an older one shows it or is HISTORY_GONE
 *   lease     shows the state of its turn, by every way of reading, until it is released, whatever is merged, renamed or dropped meanwhile
 *   backup    has its name only when all of it is there: it opens, and is exactly one moment, which is not behind the call nor ahead of what a crash leaves
 *   rename, drop   one commit each: after a crash the stores are those of one moment, with what they held
 */
import { type Database, openDatabase } from '../../engine/database.ts'
import { isVarveError } from '../../engine/errors.ts'
import type { LeaseDescription, OwnedLease } from '../../engine/lease/leases.ts'
import { openLease } from '../../engine/lease/open-lease.ts'
import { restore } from '../../engine/tools/restore.ts'
import { check, equal } from './compare.ts'
import { drawKey, drawValue, entriesIn, indexEntries, indexNames, type StoreState, type Value } from './store-content.ts'
import type { StoreWorld } from './store-world.ts'

export interface HeldStoreLease {
  readonly owned: OwnedLease
  readonly description: LeaseDescription
  readonly state: StoreState
}

type Action = (world: StoreWorld) => Promise<void> | void

const leasesMax = 3
const extrasMax = 3
const backupsMax = 3

// --- history -------------------------------------------------------------------------------------------------------------------------------

/** One moment of the history, drawn. */
export const comparePast: Action = world => {
  const { random, history, main, swarm, now } = world
  const { historyMs } = swarm
  const entry = history[random.below(history.length)]
  if (historyMs === undefined || entry === undefined || entry.state.feedEnd < 0) return
  const { sequence, state } = entry
  let view: ReturnType<typeof main.asOf>
  try {
    view = main.asOf(sequence)
  } catch (error) {
    if (!isVarveError(error, 'HISTORY_GONE')) throw error
    check(state.at < now - historyMs, 'a moment within the retention can be read', sequence, state.at, now, error.message)
    return
  }
  try {
    // Times of old moments are kept less densely; what expired between that time and the commit may be gone or not.
    const isCertain = (expiresAt: number): boolean => expiresAt === 0 || expiresAt <= view.time || expiresAt > state.at
    const certain = new Map([...state.main].filter(([, { expiresAt }]) => isCertain(expiresAt)))
    const unsure = new Set([...state.main.keys()].filter(key => !certain.has(key)))
    const found = [...view.entries()].filter(([key]) => !unsure.has(key))
    equal(JSON.stringify(found), JSON.stringify(entriesIn(certain, {}, view.time)), `entries as of ${sequence}`)
    const key = drawKey(random, swarm)
    if (unsure.has(key)) return
    equal(JSON.stringify(view.get(key)), JSON.stringify(new Map(entriesIn(certain, {}, view.time)).get(key)), `${key} as of ${sequence}`)
  } finally {
    view.close()
  }
}

// --- leases --------------------------------------------------------------------------------------------------------------------------------

const takeLease: Action = world => {
  const { state, leases, random, database } = world
  if (leases.length >= leasesMax || world.rebuilding !== undefined) return
  const stores = [state.mainName, 'other', ...state.extras.keys()]
  world.note('lease')
  const owned = database.lease(random.chance(0.5) ? {} : { stores })
  leases.push({ owned, description: structuredClone(owned.share()), state })
}

/** Reads what a lease keeps, as another thread would, and gives it back, or keeps it for later. */
const readLease: Action = async world => {
  const { random, leases, swarm } = world
  const index = random.below(Math.max(1, leases.length))
  const held = leases[index]
  if (held === undefined) return
  world.note('read a lease')
  const { state, description } = held
  const lease = await openLease({ ...description, ...held.owned.share() }, world.environment.files)
  const main = lease.store<Value, string>(state.mainName)
  const all = entriesIn(state.main, {}, lease.time)
  equal(JSON.stringify([...main.entries()]), JSON.stringify(all), 'entries of a lease')
  equal(JSON.stringify([...main.entries({ reverse: true })].reverse()), JSON.stringify(all), 'entries of a lease, backwards')
  const key = drawKey(random, swarm)
  equal(JSON.stringify(main.get(key)), JSON.stringify(new Map(all).get(key)), `get ${key} of a lease`)
  const name = indexNames[random.below(indexNames.length)] ?? 'c'
  equal(
    JSON.stringify([...main.index(name).entries()]),
    JSON.stringify(indexEntries(state.main, name, lease.time)),
    `index ${name} of a lease`,
  )
  for (const [extra, content] of state.extras) {
    equal(JSON.stringify([...lease.store(extra).entries()]), textOf(content), `entries of ${extra} in a lease`)
  }
  lease.release()
  if (random.chance(0.5)) return
  leases.splice(index, 1)
  const unread = await openLease(description, world.environment.files)
  unread.release()
  held.owned.release()
}

// --- stores that come and go -----------------------------------------------------------------------------------------------------------------

function textOf(content: ReadonlyMap<string, Value>): string {
  return JSON.stringify([...content].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Names and content of all stores but the second. */
export function compareExtras(database: Database, { mainName, extras }: StoreState): void {
  equal(database.storeNames().join(), [mainName, 'other', ...extras.keys()].sort().join(), 'names of stores')
  for (const [name, content] of extras) equal(JSON.stringify([...database.store(name).entries()]), textOf(content), `entries of ${name}`)
}

const writeExtra: Action = world => {
  const { state, random, swarm, database } = world
  const names = [...state.extras.keys()]
  const name = names.length < extrasMax && random.chance(0.3) ? `extra${world.names++}` : names[random.below(Math.max(1, names.length))]
  if (name === undefined) return undefined
  let content = state.extras.get(name)
  const durability = world.drawDurability()
  world.note(`${durability} ${content === undefined ? 'define and ' : ''}write ${name}`)
  const store = database.store<Value, string>(name, { keys: swarm.keyCodec, structures: swarm.structures })
  if (content === undefined) {
    content = new Map()
    const sequence = world.record({ ...state, extras: new Map([...state.extras, [name, content]]) })
    world.watch(store.ready().then(() => durableTo(world, sequence)))
  }
  const next = new Map(content)
  const puts = Array.from({ length: 1 + random.below(6) }, () => {
    const put = { type: 'put' as const, key: drawKey(random, swarm), value: drawValue(random, swarm, world.names++) }
    next.set(put.key, put.value)
    return put
  })
  const { isWritten, done } = world.commit({ ...world.state, extras: new Map([...world.state.extras, [name, next]]) }, durability, () =>
    store.batch(puts, { durability }),
  )
  // There was no room for it: told to whoever makes steps.
  return isWritten ? undefined : done.then(() => undefined)
}

const dropExtra: Action = world => {
  const { state, database } = world
  const name = [...state.extras.keys()][0]
  if (name === undefined) return
  world.note(`drop ${name}`)
  edit(world, { extras: new Map([...state.extras].filter(([each]) => each !== name)) }, () => database.dropStore(name))
}

/** The indexed store or another one. */
const rename: Action = world => {
  const { state, random, database } = world
  const names = [...state.extras.keys()]
  if (random.chance(0.4) || names.length === 0) {
    const to = `main${world.names++}`
    world.note(`rename ${state.mainName} to ${to}`)
    edit(world, { mainName: to }, () => database.renameStore(state.mainName, to))
    return
  }
  const from = names[random.below(names.length)] as string
  const to = `extra${world.names++}`
  world.note(`rename ${from} to ${to}`)
  const extras = new Map([...state.extras].map(([name, content]) => [name === from ? to : name, content] as const))
  edit(world, { extras }, () => database.renameStore(from, to))
}

/** A change of definitions takes effect at the call, and is durable when it resolves. */
function edit(world: StoreWorld, change: Partial<StoreState>, run: () => Promise<unknown>): void {
  const done = run()
  const sequence = world.record({ ...world.state, ...change })
  world.watch(done.then(() => durableTo(world, sequence)))
}

function durableTo(world: StoreWorld, sequence: number): void {
  world.durableSequence = Math.max(world.durableSequence, sequence)
  world.writtenSequence = Math.max(world.writtenSequence, sequence)
}

// --- backups -------------------------------------------------------------------------------------------------------------------------------

const backUp: Action = world => {
  if (world.backups.length >= backupsMax) return
  const path = `/backups/${world.names++}`
  const { sequence, database } = world
  world.note(`back up to ${path}`)
  world.backups.push(path)
  world.start(async () => {
    const report = await database.backup(path)
    check(report.sequence >= sequence, 'a backup is not behind its call', report.sequence, sequence)
    equal(await compareBackup(world, path), report.sequence, 'sequence of a backup')
  })
}

/** After an opening: those that have their name are whole. */
export async function compareBackups(world: StoreWorld): Promise<void> {
  const { sequence } = world.database.stats()
  for (const path of world.backups.slice()) {
    const isThere = (await world.environment.files.stat(path)) !== undefined
    if (isThere) check((await compareBackup(world, path)) <= sequence, 'a backup is not ahead of its source', path)
    else world.backups.splice(world.backups.indexOf(path), 1)
  }
}

/** Opens what is restored from the backup, since an opening may write, compares it with its moment, and says which that is. */
async function compareBackup(world: StoreWorld, path: string): Promise<number> {
  const { environment, swarm } = world
  const target = `/restored/${world.names++}`
  await restore(path, target, { environment })
  const copy = await openDatabase(target, { ...swarm.options, environment, createIfMissing: false })
  const { sequence } = copy.stats()
  const state = world.stateAt(sequence)
  compareExtras(copy, state)
  const main = copy.store<Value, string>(state.mainName)
  const now = environment.clock.now()
  equal(JSON.stringify([...main.entries()]), JSON.stringify(entriesIn(state.main, {}, now)), `entries of ${path}`)
  for (const name of main.indexNames()) {
    try {
      equal(main.index(name).count(), indexEntries(state.main, name as 'c', now).length, `index ${name} of ${path}`)
    } catch (error) {
      if (!isVarveError(error, 'NOT_READY')) throw error
    }
  }
  await copy.close()
  return sequence
}

export const moments: readonly Action[] = [
  ...[comparePast, comparePast, takeLease, readLease, readLease, backUp],
  ...[writeExtra, writeExtra, writeExtra, dropExtra, rename],
]

/**
 * Judges a folder after its process was killed, by the records that are there and the acknowledgements that were heard.
 *
 * Commits are numbered in the order in which they were made, and the commit log is one sequence. So the commits that survive are those up to
 * some number; that number is at least the largest one acknowledged as 'sync' or 'buffered'; and of each all records are there, in every log. A store holds what its newest commits left,
 * its indexes and its change feed agree with it.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Database, Store } from '../../engine/index.ts'
import { observeLog } from '../fault/observe.ts'
import { isIn, type Range } from '../support/store-content.ts'

const logNames: readonly string[] = ['events', 'table', 'feed']

interface Content {
  readonly n: number
  readonly parts: readonly (readonly [log: string, count: number])[]
}

/** Returns the largest commit number that is there; throws an Error that says which rule is broken. */
export async function judge(database: Database, acknowledged: number): Promise<number> {
  const names = database.list().map(({ name }) => name)
  if (names.length === 0) {
    if (acknowledged >= 0) throw new Error(`commit ${acknowledged} was acknowledged, and no log is defined`)
    return -1
  }
  /** Records found, by log and commit. */
  const found = new Map<string, Map<number, number>>()
  const contents = new Map<number, Content>()
  let trimmedBelow = 0
  for (const name of names) {
    if (!logNames.includes(name)) continue
    const counts = new Map<number, number>()
    const log = database.log(name)
    const { records, entries, startOffset } = observeLog(log)
    const all =
      log.kind === 'store'
        ? entries.map(entry => ({ key: entry.slice(0, entry.indexOf('=')), value: entry.slice(entry.indexOf('=') + 1) }))
        : records
    let before = ''
    for (const { key, value } of all) {
      if (key <= before && value.length > 0) throw new Error(`log ${name}: record ${key} follows ${before}`)
      before = key
      const content = JSON.parse(value) as Content
      if (Number(key.slice(0, key.indexOf('.'))) !== content.n)
        throw new Error(`log ${name}: record ${key} has the value of commit ${content.n}`)
      counts.set(content.n, (counts.get(content.n) ?? 0) + 1)
      contents.set(content.n, content)
    }
    if (name === 'events' && startOffset > 0) trimmedBelow = Math.min(...counts.keys()) + 1
    found.set(name, counts)
  }
  const newest = Math.max(-1, ...contents.keys())
  if (newest < acknowledged) throw new Error(`commit ${acknowledged} was acknowledged, the newest one there is ${newest}`)
  for (let n = 0; n <= newest; n++) {
    const content = contents.get(n)
    if (content === undefined) {
      if (n >= trimmedBelow) throw new Error(`commit ${n} is missing, later ones are there`)
      continue
    }
    for (const name of found.keys()) {
      const expected = content.parts.reduce((sum, [log, count]) => sum + (log === name ? count : 0), 0)
      const actual = found.get(name)?.get(n) ?? 0
      if (actual !== expected && !(name === 'events' && n < trimmedBelow))
        throw new Error(`commit ${n}: ${actual} of ${expected} records in log ${name}`)
    }
  }
  await judgeStore(database, contents, trimmedBelow, newest)
  return newest
}

const slots = 40

interface User {
  readonly n: number
  readonly i: number
  readonly tags: readonly (number | string)[]
}

/** Each slot holds the whole of the newest commit to it, or nothing where that emptied it. */
async function judgeStore(database: Database, contents: ReadonlyMap<number, Content>, trimmedBelow: number, newest: number): Promise<void> {
  const users = database.store<User, string>('users', { indexes: { n: 'n', tag: { path: 'tags', multi: true } }, changes: true })
  await users.ready()
  const counts = new Map<number, number>()
  for (const { n, parts } of contents.values()) {
    const part = parts.find(([name]) => name === 'users')
    if (part !== undefined) counts.set(n, part[1])
  }
  for (let slot = 0; slot < slots; slot++) {
    const found = [...users.values({ prefix: `s${slot}.` })]
    const expected = Math.max(-1, ...[...counts.keys()].filter(n => n % slots === slot))
    const n = found[0]?.n ?? -1
    if (expected < 0 && n >= trimmedBelow) throw new Error(`slot ${slot} has commit ${n}, which is not there`)
    const count = expected < 0 ? found.length : counts.get(expected)
    const isWhole = found.length === count && (count === 0 || count === 3) && found.every((user, i) => user.n === n && user.i === i)
    if (!isWhole || (expected >= 0 && count > 0 && n !== expected) || n > newest)
      throw new Error(`slot ${slot}: ${JSON.stringify(found.map(user => [user.n, user.i]))}, its newest commit ${expected} has ${count}`)
  }
  judgeViews(users)
}

/** Indexes and feed say what the entries say. */
function judgeViews(users: Store<User, string>): void {
  const entries = [...users.entries()]
  const indexed = (name: string): string[] => [...users.index(name).entries()].map(([value, key, { n }]) => `${value} ${key} ${n}`).sort()
  const byNumber = entries.map(([key, { n }]) => `${n} ${key} ${n}`).sort()
  if (!isDeepStrictEqual(indexed('n'), byNumber)) throw new Error('index n does not agree with the store')
  const byTag = entries.flatMap(([key, { n, tags }]) => tags.map(tag => `${tag} ${key} ${n}`)).sort()
  if (!isDeepStrictEqual(indexed('tag'), byTag)) throw new Error('index tag does not agree with the store')
  const replayed = new Map<string, User>()
  for (let position = 0; ; ) {
    const batch = users.readChanges(position)
    if (batch.changes.length === 0) break
    position = batch.position
    for (const change of batch.changes) {
      if (change.type === 'put') replayed.set(change.key, change.value)
      else if (change.type === 'del') replayed.delete(change.key)
      else for (const key of replayed.keys()) if (isIn(key, change.range as Range)) replayed.delete(key)
    }
  }
  if (!isDeepStrictEqual(new Map(entries), replayed)) throw new Error('the change feed does not give what the store holds')
}

/**
 * Judges a folder after its process was killed, by the records that are there and the acknowledgements that were heard.
 *
 * Commits are numbered in the order in which they were made, and the commit log is one sequence. So the commits that survive are those up to
 * some number; that number is at least the largest one acknowledged as 'sync' or 'buffered'; and of each all records are there, in every log.
 */
import type { Database } from '../../engine/index.ts'
import { observeLog } from '../fault/observe.ts'

interface Content {
  readonly n: number
  readonly parts: readonly (readonly [log: string, count: number])[]
}

/** Returns the largest commit number that is there; throws an Error that says which rule is broken. */
export function judge(database: Database, acknowledged: number): number {
  if (database.list().length === 0) {
    if (acknowledged >= 0) throw new Error(`commit ${acknowledged} was acknowledged, and no log is defined`)
    return -1
  }
  /** Records found, by log and commit. */
  const found = new Map<string, Map<number, number>>()
  const contents = new Map<number, Content>()
  let trimmedBelow = 0
  for (const { name } of database.list()) {
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
  return newest
}

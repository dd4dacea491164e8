/** The main job's steps with the topic: ingest, reading back, a group that is killed and goes on, replay, compaction. Each is checked against the source. */

import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Database } from '../../index.ts'
import { compare } from './check.ts'
import { countGroup, countRows } from './count.ts'
import { countAndKill, type ProcessOptions } from './count-process.ts'
import { UsageError } from './file.ts'
import { type Ingested, ingest } from './ingest.ts'
import type { DataRow } from './input.ts'
import { type Model, Tally } from './model.ts'
import { grouped, type Steps } from './steps.ts'
import { newestStore, partitions, rowTopic, totalsStore } from './stores.ts'

/** Of what the replay reads: the newest part of the times. */
const replayedShare = 0.25

export class TopicSteps {
  readonly #steps: Steps
  readonly #model: Model

  constructor(steps: Steps, model: Model) {
    this.#steps = steps
    this.#model = model
  }

  /** Reading the file and sending take turns; each is timed apart and gets a row of its own. Resolves with the number of bad lines. */
  async ingest(db: Database, rowsMax: number): Promise<number> {
    const { input, all, kept, indexes } = this.#model
    const name = basename(input.file)
    let ingested: Ingested | undefined
    await this.#steps.run('ingest into topic and store', input.bytes, async advance => {
      const before = db.stats().commitLog.frameBytes
      let bytes = 0
      ingested = await ingest(db, this.#model, rowsMax, read => {
        bytes += read
        advance(read)
      })
      const { readMs, sendMs, bad } = ingested
      this.#steps.add(`read ${name}`, readMs / 1000, all.rows + bad, bytes)
      const finding = `${grouped(all.rows)} ${input.what} are durable in ${partitions} partitions; ${grouped(kept.rows)} ${input.kept} came into a store with ${indexes.length} indexes by the same transactions${bad === 0 ? '' : `; ${grouped(bad)} bad lines are left out`}`
      return { records: all.rows, bytes: db.stats().commitLog.frameBytes - before, seconds: sendMs / 1000, finding }
    })
    const { bad, badLines } = ingested as unknown as Ingested
    for (const { line, problem } of badLines) console.log(`  ${name}:${line}: ${problem} (skipped)`)
    if (bad > badLines.length) console.log(`  and ${grouped(bad - badLines.length)} more`)
    if (all.rows === 0) throw new UsageError(`${name} has no good rows`)
    return bad
  }

  async readBack(db: Database): Promise<void> {
    const { input, all } = this.#model
    await this.#steps.run('read back', all.rows, async advance => {
      await db.seal()
      const found = await tallyOfTopic(db, this.#model, advance)
      found.compareTo('read back', all)
      return { records: all.rows, bytes: 0, finding: `all ${grouped(all.rows)} ${input.what} equal the source, each key's in order` }
    })
  }

  /** The database is closed meanwhile: another process owns the folder, and dies. */
  async countAndKill(folder: string): Promise<void> {
    const { input, all } = this.#model
    const killAt = Math.ceil(all.rows / 3)
    await this.#steps.run('consume as a group of two, kill -9', killAt, async advance => {
      let at = 0
      const counted = await countAndKill(folder, this.#countOptions(), killAt, rows => {
        advance(rows - at)
        at = rows
      })
      return { records: counted, bytes: 0, finding: `both consumers died when ${grouped(counted)} ${input.what} were counted` }
    })
  }

  /** Two consumers go on; one of them leaves on the way, and the other takes its partitions over. */
  async resume(db: Database): Promise<void> {
    const { input } = this.#model
    await rowTopic(db).ready()
    const { lag } = db.describeGroup(countGroup)
    await this.#steps.run('resume the group, one consumer leaves', lag, async advance => {
      const counted = await countTheRest(db, this.#countOptions(), lag, advance)
      compare('rows counted after the kill', counted, lag)
      const totals = totalsStore(db)
      await totals.ready()
      this.#model.compareTotals('counted by the group', new Map(totals.entries()))
      const [[rows, key] = [0, '']] = totals.index('rows').entries({ reverse: true, limit: 1 })
      const finding = `${grouped(lag)} ${input.what} were left, none is lost, none is counted twice; of ${grouped(totals.count())} keys ${key} has the most: ${grouped(rows as number)}`
      return { records: lag, bytes: 0, finding }
    })
  }

  #countOptions(): ProcessOptions {
    const { input, all } = this.#model
    return { columns: input.columns, maxRecords: Math.max(1, Math.min(5000, Math.floor(all.rows / 20))) }
  }

  /** The newest quarter again, into a store: the newest row of each key. */
  async replay(db: Database): Promise<void> {
    const times = this.#model.times.toSorted((a, b) => a - b)
    const from = times[Math.floor(times.length * (1 - replayedShare))] as number
    const topic = rowTopic(db)
    const newest = newestStore(db)
    await this.#steps.run('replay from a time into a new store', this.#model.all.rows * replayedShare, async advance => {
      let at = 0
      const { read, bytes } = await topic.replay({
        to: newest as never,
        from: { time: from },
        onProgress: ({ read: seen }) => {
          advance(seen - at)
          at = seen
        },
      })
      const expected = new Map<string, DataRow>()
      for await (const { records } of topic.consume({ from: { time: from }, until: 'end', maxRecords: 10_000 }))
        for (const { key, value } of records) expected.set(key as string, value as DataRow)
      compare('keys of the replay', newest.count(), expected.size)
      for (const [key, row] of expected) compare(`newest of ${key}`, JSON.stringify(newest.get(key)), JSON.stringify(row))
      const finding = `since ${new Date(from).toISOString().slice(0, 16)}; the newest of each of ${grouped(expected.size)} keys`
      return { records: read, bytes, finding }
    })
  }

  async compact(db: Database, folder: string): Promise<void> {
    const { input, all } = this.#model
    const topic = rowTopic(db)
    await this.#steps.run('compact', partitions, async advance => {
      await db.seal()
      const before = segmentBytes(folder)
      await topic.compact()
      for (const name of db.storeNames()) await db.store(name).compact()
      advance(partitions)
      const after = segmentBytes(folder)
      let left = 0
      for await (const { records } of topic.consume({ until: 'end', maxRecords: 10_000 })) left += records.length
      compare('keys that are left', new Set(await keysOf(db)).size, all.keys.size)
      const finding = `${grouped(left)} of ${grouped(all.rows)} ${input.what} are left, at least the newest of each key: ${grouped(before)} bytes of segments before, ${grouped(after)} after`
      return { records: all.rows, bytes: before - after, finding }
    })
  }
}

/** All rows of the topic, each key's in its order. */
export async function tallyOfTopic(db: Database, model: Model, advance: (by: number) => void): Promise<Tally> {
  const found = new Tally(model.input.columns)
  const hasTimes = model.input.columns.time !== undefined
  for await (const { records } of rowTopic(db).consume({ until: 'end', maxRecords: 10_000 })) {
    for (const { key, value, timestamp } of records) found.add(key as string, value as DataRow, hasTimes ? timestamp : undefined)
    advance(records.length)
  }
  return found
}

/** Counts the `lag` rows that are left by two members, of which one leaves when half of them are counted; returns how many were. */
export async function countTheRest(db: Database, options: ProcessOptions, lag: number, advance: (by: number) => void): Promise<number> {
  if (lag === 0) return 0
  const first = new AbortController()
  const all = new AbortController()
  let counted = 0
  const told = (rows: number): void => {
    counted += rows
    advance(rows)
    if (counted > lag / 2) first.abort()
    if (counted >= lag) all.abort()
  }
  await Promise.all([countRows(db, { ...options, signal: first.signal, told }), countRows(db, { ...options, signal: all.signal, told })])
  return counted
}

async function keysOf(db: Database): Promise<string[]> {
  const keys: string[] = []
  for await (const { records } of rowTopic(db).consume({ until: 'end', maxRecords: 10_000 }))
    for (const { key } of records) keys.push(key as string)
  return keys
}

/** Of all segments of a database; the commit log's files are made ahead and used again. */
function segmentBytes(folder: string): number {
  const sizes = readdirSync(folder).map(file =>
    file.endsWith('.seg') ? (statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0) : 0,
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

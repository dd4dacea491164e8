/**
 * Probe: leases in real worker threads, on a real folder. A worker opens a lease of parts, tails and a staged commit and reads it without pause while
 * the owner appends, seals, consolidates, compacts, trims and drops: it always sees the moment of the lease. Files that a lease names stay until the
 * owner and all copies are released: by call, by the worker's exit, or by its violent end; memory of a leased arena is never reused.
 *
 * Workers run the compiled engine (`npm run build` first), as users' workers do.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Database, openDatabase } from '../../engine/database.ts'
import type { LeaseDescription } from '../../engine/lease/leases.ts'
import { openLease } from '../../engine/lease/open-lease.ts'
import { momentOf } from '../unit/engine/lease/moment.ts'
import { bytesOf, smallOptions } from './support.ts'

/** Opens its copy, reads it again and again, and answers what it saw when asked. Does what the messages say. */
const workerCode = `
const { parentPort, workerData } = require('node:worker_threads')
const { createHash } = require('node:crypto')
function momentOf(log, bytesMax) {
  const hash = createHash('sha1')
  let batches = 0
  for (let offset = log.startOffset; offset < log.endOffset; ) {
    const slice = log.read(offset, { bytesMax, fillChecksums: true })
    if (slice.nextOffset <= offset) throw new Error('no progress at offset ' + offset)
    hash.update(slice.bytes)
    batches += slice.positions.length
    offset = slice.nextOffset
  }
  return log.startOffset + '..' + log.endOffset + ' ' + batches + ' batches ' + hash.digest('hex')
}
import(workerData.door).then(async ({ openLease }) => {
  const lease = await openLease(workerData.lease)
  const read = bytesMax => lease.logs.map(log => momentOf(log, bytesMax))
  const first = read(1 << 20)
  let reads = 0
  let stopped = false
  const again = () => {
    if (stopped) return
    for (const [index, seen] of read(500 + (reads % 7) * 700).entries()) {
      if (seen !== first[index]) throw new Error(seen + ', before ' + first[index])
    }
    reads++
    setImmediate(again)
  }
  parentPort.on('message', message => {
    if (message === 'ask') parentPort.postMessage({ moments: read(1 << 20), reads })
    if (message === 'exit') process.exit(0)
    if (message === 'throw') setImmediate(() => { throw new Error('on purpose') })
    if (message === 'release') {
      stopped = true
      lease.release()
      let code
      try { lease.logs[0].read(0) } catch (error) { code = error.code }
      parentPort.postMessage({ code })
    }
  })
  parentPort.postMessage({ moments: first, reads })
  again()
})
`
const door = pathToFileURL(join(import.meta.dirname, '../../dist/engine/index.js')).href

interface Answer {
  readonly moments?: readonly string[]
  readonly reads?: number
  readonly code?: string
}

class Reader {
  readonly worker: Worker
  readonly ended: Promise<number>
  failure: unknown

  constructor(lease: (worker: Worker) => LeaseDescription) {
    // The copy must name its thread, and the thread needs its copy: it waits for the description as its first message.
    this.worker = new Worker(
      `require('node:worker_threads').parentPort.once('message', lease => {
      require('node:worker_threads').workerData.lease = lease
      ${workerCode}
    })`,
      { eval: true, workerData: { door } },
    )
    this.worker.on('error', error => (this.failure = error))
    this.ended = new Promise(resolve => this.worker.once('exit', resolve))
    this.worker.postMessage(lease(this.worker))
  }

  answer(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.worker.once('message', resolve)
      this.worker.once('error', reject)
    })
  }

  ask(message: string): Promise<Answer> {
    const answer = this.answer()
    this.worker.postMessage(message)
    return answer
  }
}

let folder: string
let db: Database

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-lease-'))
  db = await openDatabase(join(folder, 'db'), { ...smallOptions, ownSegmentBytes: 1 })
  await db.define([
    { name: 'topic', kind: 'topic', cleanup: 'compact' },
    { name: 'body', kind: 'store', body: true },
    { name: 'store', kind: 'store' },
    { name: 'other', kind: 'topic' },
  ])
})

afterEach(async () => {
  await db.close()
  rmSync(folder, { recursive: true, force: true })
})

let counter = 0

/** Appends to all logs that are defined. */
async function write(count: number, bytes = 300): Promise<void> {
  for (let i = 0; i < count; i++) {
    const value = `${counter++}:`.padEnd(bytes, 'v')
    for (const { name, kind } of db.list()) {
      if (kind === 'store') db.log(name).appendRecords([{ kind: 'put', key: bytesOf(`k${counter % 9}`), value: bytesOf(value) }])
      else db.log(name).appendRecords([{ key: `k${counter % 9}`, value }])
    }
    if (i % 4 === 0) await db.flush()
  }
  await db.flush()
}

/** Parts, tails in two arenas, and a staged commit. */
async function prepare(): Promise<void> {
  await write(20)
  await db.seal()
  await write(10)
  const value = new Uint8Array(800).fill(7)
  await db.commit(commit => {
    commit.appendRecords(
      db.log('topic'),
      Array.from({ length: 12 }, (_, i) => ({ key: `s${i}`, value })),
    )
    commit.appendRecords(
      db.log('body'),
      Array.from({ length: 12 }, (_, i) => ({ kind: 'put', key: bytesOf(`s${i}`), value })),
    )
  }).durable
  await write(2)
  expect(db.stats().commitLog.stagedCommits).toBeGreaterThan(0)
}

/** Everything that moves, replaces or deletes what a lease may name. */
async function churn(): Promise<void> {
  await write(60)
  await db.seal()
  await db.compactLog('topic', { deleteRetentionMs: 0 })
  await db.compactLog('store')
  await write(60)
  await db.seal()
  await db.consolidate()
  await db.log('body').trimPrefix(db.log('body').highWatermark).durable
  await db.log('topic').trimPrefix(db.log('topic').highWatermark).durable
  await db.consolidate()
}

const filesOf = ({ logs }: LeaseDescription): string[] => [...new Set(logs.flatMap(log => log.parts.map(part => part.path)))]
const existing = (paths: readonly string[]): string[] => paths.filter(path => existsSync(path))

/** Lets the owner look for what may be deleted, and waits until it has done so. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) {
    await write(1)
    await db.seal()
  }
  expect(holds()).toBe(true)
}

test('a worker sees the moment of its lease whatever the owner does; the files go when it releases', async () => {
  await prepare()
  const lease = db.lease({ logs: ['topic', 'body', 'store'] })
  let description: LeaseDescription | undefined
  const reader = new Reader(worker => (description = lease.share(worker)))
  const first = await reader.answer()
  const expected = await openLease(lease.share())
  expect(first.moments).toEqual(expected.logs.map(log => momentOf(log)))
  expected.release()
  const files = filesOf(description as LeaseDescription)
  expect(files.length).toBeGreaterThan(2)
  const buffers = new Map((description as LeaseDescription).arenas.map(({ bytes, number }) => [bytes.buffer, number]))
  expect((description as LeaseDescription).arenas.length).toBeGreaterThan(1)

  await churn()
  const during = await reader.ask('ask')
  expect(during.moments).toEqual(first.moments)
  expect(during.reads).toBeGreaterThan(3)
  await db.drop(['body', 'store'])
  lease.release()
  await write(30)
  await db.seal()
  const after = await reader.ask('ask')
  expect(after.moments).toEqual(first.moments)
  expect(existing(files)).toEqual(files)
  const now = db.lease()
  for (const { bytes, number } of now.share().arenas) expect(buffers.get(bytes.buffer) ?? number).toBe(number)
  now.release()

  expect(await reader.ask('release')).toEqual({ code: 'CLOSED' })
  await until(() => existing(files).length === 0)
  await reader.worker.terminate()
  expect(reader.failure).toBeUndefined()
})

test.each(['exit', 'throw', 'terminate'] as const)('two workers share a lease; the end of the second (%s) releases it', async way => {
  await prepare()
  const lease = db.lease({ logs: ['body', 'store'] })
  const descriptions: LeaseDescription[] = []
  const share = (worker: Worker): LeaseDescription => {
    const description = lease.share(worker)
    descriptions.push(description)
    return description
  }
  const one = new Reader(share)
  const two = new Reader(share)
  const [first, second] = await Promise.all([one.answer(), two.answer()])
  expect(first.moments).toEqual(second.moments)
  const files = filesOf(descriptions[0] as LeaseDescription)
  lease.release()
  await db.drop(['body', 'store'])
  await write(20)
  await db.seal()
  expect(existing(files)).toEqual(files)
  await one.ask('release')
  expect((await two.ask('ask')).moments).toEqual(second.moments)
  expect(db.stats().leases).toBe(1)
  if (way === 'terminate') await two.worker.terminate()
  else two.worker.postMessage(way)
  await two.ended
  await one.worker.terminate()
  expect(two.failure === undefined).toBe(way !== 'throw')
  expect(db.stats().leases).toBe(0)
  await until(() => existing(files).length === 0)
})

test('a worker reads on after the owner closed; the next opening sweeps the files', async () => {
  await prepare()
  const lease = db.lease({ logs: ['body'] })
  let description: LeaseDescription | undefined
  const reader = new Reader(worker => (description = lease.share(worker)))
  const first = await reader.answer()
  await db.drop(['body'])
  await db.close()
  const files = filesOf(description as LeaseDescription)
  expect(existing(files)).toEqual(files)
  expect((await reader.ask('ask')).moments).toEqual(first.moments)
  expect(() => lease.share()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  await reader.ask('release')
  await reader.worker.terminate()
  expect(reader.failure).toBeUndefined()
  db = await openDatabase(join(folder, 'db'), smallOptions)
  expect(existing(files)).toEqual([])
  expect(readdirSync(join(folder, 'db')).filter(name => name.startsWith('segment-')).length).toBe(db.stats().segments.count)
})

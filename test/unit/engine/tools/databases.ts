/**
 * Databases for the tests of the tools: small, in temporary folders on the real disk, with several segments, a tail, and every kind of log. The
 * last lines of each make what its name says.
 */
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { createNodeEnvironment, resolveWorkerUrl } from '../../../../engine/env/index.ts'
import type { Database, OpenOptions } from '../../../../engine/index.ts'
import { decodeRecords, openDatabase } from '../../../../engine/index.ts'

/** One worker for all databases of a test file would outlive them; each opening has its own, as in life. */
export const environment: ReturnType<typeof createNodeEnvironment> = createNodeEnvironment({
  worker: resolveWorkerUrl(new URL('../../../../engine/database.ts', import.meta.url).href, 'engine/worker'),
})

const made: string[] = []

export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(join(tmpdir(), 'varve-tools-'))
  made.push(folder)
  return folder
}

afterAll(() => {
  for (const folder of made) fs.rmSync(folder, { recursive: true, force: true })
})

const small: OpenOptions = {
  environment,
  commitLogFileBytes: 64 * 1024,
  commitLogFileBytesFirst: 16 * 1024,
  closeTailBytesMax: 1 << 20,
  autoConsolidate: false,
}

export function openSmall(path: string, options: OpenOptions = {}): Promise<Database> {
  return openDatabase(path, { ...small, ...options })
}

const encoder = new TextEncoder()
const text = (value: string): Uint8Array => encoder.encode(value)

/** Appends `count` records to each of the three logs, numbered from `from`. */
export async function appendRound(database: Database, from: number, count: number): Promise<void> {
  const orders = database.log('orders')
  const prices = database.log('prices')
  const users = database.log('users')
  for (let i = from; i < from + count; i++) {
    orders.appendRecords([{ key: `order-${i}`, value: `order number ${i}`, timestamp: 1_700_000_000_000 + i }])
    prices.appendRecords([{ key: `item-${i % 7}`, value: `price ${i}`, timestamp: 1_700_000_000_000 + i }])
    await users.appendRecords([{ kind: 'put', key: text(`user-${String(i).padStart(6, '0')}`), value: text(`name ${i}`) }]).durable
  }
}

export async function defineLogs(database: Database): Promise<void> {
  await database.define([
    { name: 'orders', kind: 'topic' },
    { name: 'prices', kind: 'topic', cleanup: 'compact' },
    { name: 'users', kind: 'store', body: true },
  ])
}

const templates = new Map<number, Promise<string>>()

/** `rounds` times 20 records a log in segments, 10 more in the tail, closed cleanly. A copy of one that is made once. */
export async function makeDatabase(rounds = 3): Promise<string> {
  let template = templates.get(rounds)
  if (template === undefined) {
    template = makeTemplate(join(temporaryFolder(), 'data'), rounds)
    templates.set(rounds, template)
  }
  const path = join(temporaryFolder(), 'data')
  fs.cpSync(await template, path, { recursive: true })
  return path
}

async function makeTemplate(path: string, rounds: number): Promise<string> {
  const database = await openSmall(path)
  await defineLogs(database)
  for (let round = 0; round < rounds; round++) {
    await appendRound(database, round * 20, 20)
    await database.seal()
  }
  await appendRound(database, rounds * 20, 10)
  await database.close()
  return path
}

/** Values of all records of a topic, with holes as they are. */
export function valuesOf(database: Database, name: string): string[] {
  const log = database.log(name)
  const values: string[] = []
  for (let offset = log.startOffset; offset < log.endOffset; ) {
    const slice = log.read(offset)
    for (const position of slice.positions) {
      for (const record of decodeRecords(slice.bytes, position)) values.push(new TextDecoder().decode(record.value ?? new Uint8Array(0)))
    }
    if (slice.nextOffset === offset) break
    offset = slice.nextOffset
  }
  return values
}

export function filesOf(path: string, pattern: RegExp): string[] {
  return fs
    .readdirSync(path)
    .filter(name => pattern.test(name))
    .sort()
    .map(name => join(path, name))
}

export const segmentsOf = (path: string): string[] => filesOf(path, /^segment-\d+\.seg$/)
export const commitFilesOf = (path: string): string[] => filesOf(path, /^commit-\d+\.log$/)

/** Turns one bit over. */
export function flip(file: string, position: number): void {
  const handle = fs.openSync(file, 'r+')
  const byte = new Uint8Array(1)
  fs.readSync(handle, byte, 0, 1, position)
  byte[0] = byte[0]! ^ 0x10
  fs.writeSync(handle, byte, 0, 1, position)
  fs.closeSync(handle)
}

/** Every file below a folder with a checksum of its bytes; lock files of LMDB left out. */
export function photograph(path: string): { [name: string]: string } {
  const picture: { [name: string]: string } = {}
  for (const entry of fs.readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === 'lock.mdb') continue
    const full = join(entry.parentPath, entry.name)
    picture[full.slice(path.length + 1)] = Buffer.from(fs.readFileSync(full)).toString('base64')
  }
  return picture
}

/**
 * Goal: what docs/FORMAT.md says of damage holds for a reader that does what it says. Every byte of a segment, of a row and of a frame that is
 * proven durable is under a checksum; a torn tail ends the log quietly; a later frame that proves the torn place durable makes it damage. The filter
 * and its hash are those of the engine.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createKeyHash, hashKey as hashKeyOfEngine } from '../../../engine/batch/store-keys.ts'
import { openTest } from './engine-view.ts'
import { copyOf, newFolder } from './folders.ts'
import { append, define } from './programs.ts'
import { Damage } from './reader/bytes.ts'
import { type Frame, frameAt } from './reader/commit-log.ts'
import { hashKey } from './reader/filter.ts'
import { readFolder } from './reader/folder.ts'
import { readSegment } from './reader/segment.ts'

function filesOf(folder: string, pattern: RegExp): string[] {
  return readdirSync(folder)
    .filter(name => pattern.test(name))
    .map(name => join(folder, name))
}

function flip(path: string, position: number): void {
  const bytes = readFileSync(path)
  bytes[position] = (bytes[position] as number) ^ 0x10
  writeFileSync(path, bytes)
}

function framesOf(path: string): Frame[] {
  const bytes = readFileSync(path)
  const frames: Frame[] = []
  for (let at = 0; at < bytes.length; at += 512) {
    const frame = frameAt(bytes, at)
    if (frame !== undefined) frames.push(frame)
  }
  return frames
}

test('every flipped bit of a segment is noticed', async () => {
  const folder = newFolder()
  const database = await openTest(folder)
  await define(database)
  await append(database, 0)
  await database.seal()
  await database.close()
  const [path = ''] = filesOf(folder, /\.seg$/)
  const bytes = readFileSync(path)
  expect(readSegment(bytes).parts.length).toBeGreaterThan(4)
  const start = Math.max(64, bytes.length - 5000)
  let noticed = 0
  let flips = 0
  for (let at = 0; at < bytes.length; at += at < 64 || at >= start ? 7 : 997, flips++) {
    bytes[at] = (bytes[at] as number) ^ 0x10
    try {
      readSegment(bytes)
    } catch {
      noticed++
    }
    bytes[at] = (bytes[at] as number) ^ 0x10
  }
  expect(noticed).toBe(flips)
})

test('a torn tail is the end, a torn middle is damage', async () => {
  const folder = newFolder()
  const database = await openTest(folder)
  await define(database)
  for (let i = 0; i < 5; i++) await database.log('raft').appendRecords([{ value: `record ${i}` }]).durable
  const torn = copyOf(folder)
  const damaged = copyOf(folder)
  await database.close()
  const [path = ''] = filesOf(torn, /^commit-.*1\.log$/)
  const frames = framesOf(path)
  const last = frames.at(-1) as Frame
  flip(path, last.entriesAt)
  expect(readFolder(torn).logs.get('raft')?.endOffset).toBe(4)
  const before = frames.at(-3) as Frame
  flip(filesOf(damaged, /^commit-.*1\.log$/)[0] as string, before.entriesAt)
  expect(() => readFolder(damaged)).toThrow(Damage)
})

test('a closing frame does not hide damage in the files after it', async () => {
  const folder = newFolder()
  const options = { commitLogFileBytesFirst: 16 * 1024 }
  const first = await openTest(folder, options)
  await first.define([{ name: 'raft', kind: 'topic', highWatermark: 'owner' }])
  await first.log('raft').appendRecords([{ value: 'x'.repeat(7900) }]).durable
  await first.close()
  const second = await openTest(folder, options)
  for (let i = 0; i < 4; i++) await second.log('raft').appendRecords([{ value: 'y'.repeat(7900) }]).durable
  const copy = copyOf(folder)
  await second.close()
  const paths = filesOf(copy, /^commit-/)
  const closing = framesOf(paths[0] as string).at(-1)
  expect(closing?.closing).toBe(true)
  const next = paths.slice(1).find(path => framesOf(path)[0]?.lsn === closing?.lsn)
  expect(readFolder(copy).logs.get('raft')?.endOffset).toBe(5)
  flip(next as string, 300)
  expect(() => readFolder(copy)).toThrow(Damage)
})

test('a damaged row of the catalog view is noticed', async () => {
  const folder = newFolder()
  const database = await openTest(folder)
  await define(database)
  await database.seal()
  await database.close()
  const path = join(folder, 'catalog/data.mdb')
  const at = readFileSync(path).lastIndexOf('renamed before')
  expect(at).toBeGreaterThan(0)
  for (let row = readFileSync(path).indexOf('renamed before'); row >= 0; row = readFileSync(path).indexOf('renamed before', row + 1))
    flip(path, row + 20)
  expect(() => readFolder(folder)).toThrow(Damage)
})

test('the filter of a run', async () => {
  const hash = createKeyHash()
  for (let size = 0; size < 40; size++) {
    const key = Uint8Array.from({ length: size }, (_, i) => (i * 89 + size * 7) & 0xff)
    hashKeyOfEngine(key, 0, size, hash)
    expect(hashKey(key)).toEqual([(hash[0] as number) >>> 0, (hash[1] as number) >>> 0])
  }
  const folder = newFolder()
  const database = await openTest(folder)
  await database.define([{ name: 'store', kind: 'store' }])
  const records = Array.from({ length: 2000 }, (_, i) => ({ kind: 'put' as const, key: Buffer.from(`key ${i}`), value: Buffer.from('v') }))
  database.log('store').appendRecords(records)
  await database.seal()
  await database.close()
  const [run] = readFolder(folder).logs.get('store')?.parts ?? []
  expect(run?.filter?.keyCount).toBe(2000)
  const wrong = Array.from({ length: 5000 }, (_, i) => Buffer.from(`other ${i}`)).filter(key => run?.filter?.mayContain(key))
  expect(wrong.length).toBeLessThan(150)
})

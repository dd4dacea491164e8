/**
 * Goal: what is appended reaches the file byte for byte, held or not, whether the appender waits for writes, blocks, or both in turn; memory stays bounded; and a
 * write or sync that failed is told before the file counts as whole.
 */
import { beforeAll, expect, test } from 'vitest'
import { loadChecksums } from '../../../../engine/codec/xxh64.ts'
import type { File } from '../../../../engine/env/index.ts'
import { SegmentOutput } from '../../../../engine/segment/output.ts'
import { seeded } from '../codec/random.ts'
import { MemoryFiles } from './memory-files.ts'

/** Its asynchronous writes end some turns later, or fail. */
function slowFile(files: MemoryFiles, fails: () => boolean = () => false): { readonly file: File; readonly written: () => number } {
  const file = files.openSync('a', 'create')
  let written = 0
  const write = file.write.bind(file)
  file.write = async (source, position) => {
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
    if (fails()) throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
    await write(source, position)
    written++
  }
  return { file, written: () => written }
}

beforeAll(loadChecksums)

test('random pieces, paced at random, are the bytes of the file, and nearly all of them are written beside the work', () =>
  seeded(async random => {
    const files = new MemoryFiles()
    const { file, written } = slowFile(files)
    const output = new SegmentOutput(file, undefined, true)
    const expected: Uint8Array[] = []
    let held = 0
    const checksum = new Uint8Array(8)
    for (let i = 0; i < 600; i++) {
      const piece = new Uint8Array(random.below(30_000)).fill(random.below(256))
      if (held === 0 && random.below(2) === 0) {
        output.hold()
        held = 1 + random.below(4)
      }
      output.append(piece)
      expected.push(piece)
      if (held > 0 && --held === 0) output.release(checksum, 0)
      const due = random.below(4) === 0 ? undefined : output.pace()
      if (due !== undefined) await due
    }
    if (held > 0) output.releaseUnchecked()
    await output.settled()
    output.finish()
    const all = Buffer.concat(expected)
    expect(output.position).toBe(all.length)
    expect(Buffer.compare(all, files.contents.get('a') as Uint8Array)).toBe(0)
    expect(written()).toBeGreaterThan(5)
  }))

test('a write that fails is told by what is waited for next, whatever that is, and nothing is left under way', async () => {
  for (const how of ['pace', 'settled'] as const) {
    const { file } = slowFile(new MemoryFiles(), () => true)
    const output = new SegmentOutput(file, undefined, true)
    const piece = new Uint8Array(800 * 1024)
    output.append(piece)
    expect(output.pace()).toBeUndefined()
    output.append(piece)
    await expect(how === 'pace' ? output.pace() : output.settled()).rejects.toMatchObject({ code: 'NO_SPACE' })
    await expect(output.settled()).rejects.toMatchObject({ code: 'NO_SPACE' })
    expect(() => output.pace()).toThrow('no space')
  }
})

test('a sync that fails is told too, and nothing is left under way', async () => {
  const { file } = slowFile(new MemoryFiles())
  file.sync = async () => {
    await new Promise(setImmediate)
    throw Object.assign(new Error('no disk'), { code: 'EIO' })
  }
  const output = new SegmentOutput(file, undefined, true)
  output.append(new Uint8Array(800 * 1024))
  output.pace()
  await expect(output.settled()).rejects.toMatchObject({ code: 'IO' })
  output.append(new Uint8Array(800 * 1024))
  expect(() => output.pace()).toThrow('no disk')
})

test('a write goes on beside the sync of what was written before, one of each at a time, and all is synced when it is settled', async () => {
  const { file } = slowFile(new MemoryFiles())
  const steps: string[] = []
  const underWay = { write: 0, sync: 0 }
  let most = 0
  let besides = 0
  const watched = (kind: 'write' | 'sync', run: () => Promise<void>): Promise<void> => {
    underWay[kind]++
    most = Math.max(most, underWay.write, underWay.sync)
    if (underWay.write === 1 && underWay.sync === 1) besides++
    return run().finally(() => {
      underWay[kind]--
      steps.push(kind)
    })
  }
  const { write, sync } = { write: file.write.bind(file), sync: file.sync.bind(file) }
  file.write = (source, position) => watched('write', () => write(source, position))
  file.sync = () =>
    watched('sync', async () => {
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
      await sync()
    })
  const output = new SegmentOutput(file, undefined, true)
  for (let piece = 0; piece < 4; piece++) {
    output.append(new Uint8Array(800 * 1024))
    await output.pace()
  }
  await output.settled()
  expect(most).toBe(1)
  expect(besides).toBeGreaterThan(2)
  expect(steps.filter(step => step === 'write')).toHaveLength(4)
  expect(steps.slice(-1)).toEqual(['sync'])
  expect(underWay).toEqual({ write: 0, sync: 0 })
})

test('where the file need not be durable nothing is written ahead', () => {
  const files = new MemoryFiles()
  const output = new SegmentOutput(files.openSync('a', 'create'))
  output.append(new Uint8Array(1000 * 1024))
  expect(output.pace()).toBeUndefined()
  expect(files.contents.get('a')).toHaveLength(0)
  output.finish()
  expect(files.contents.get('a')).toHaveLength(1000 * 1024)
})

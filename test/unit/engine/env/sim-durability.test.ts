// Goal: each rule of the simulated disk about the bytes that power loss leaves (engine/env/sim/file-state.ts) holds, so that a database
// that passes on it relies on nothing a real disk does not promise.
import { beforeEach, describe, expect, test } from 'vitest'
import { type CrashOptions, createSimEnvironment, type File, type SimDisk, type SimEnvironment } from '../../../../engine/env/index.ts'
import { SimFiles } from '../../../../engine/env/sim/files.ts'
import { codeOf, text } from './worlds.ts'

const nothing: CrashOptions = { writes: 'none', sizes: 'none', names: 'none', inFlight: 'none' }
const everything: CrashOptions = { writes: 'all', sizes: 'all', names: 'all', inFlight: 'all' }

let env: SimEnvironment
let disk: SimDisk

beforeEach(() => {
  env = createSimEnvironment({ seed: 1 })
  disk = env.disk
})

const drive = <T>(work: () => Promise<T>): Promise<T> => env.drive(work)

/** A durable, named file with this content. */
async function durableFile(path: string, content: string): Promise<void> {
  const file = await env.files.open(path, 'create')
  await file.write(text(content), 0)
  await file.sync()
  await file.close()
  await env.files.syncDirectory('/')
}

/** What a process started after the crash reads. */
function survivor(path: string): string | undefined {
  const files = new SimFiles(disk, env.scheduler)
  if (files.statSync(path) === undefined) return undefined
  const file = files.openSync(path, 'read')
  const bytes = new Uint8Array(file.sizeSync())
  file.readSync(bytes, 0)
  return new TextDecoder().decode(bytes)
}

function ignoreStop(error: unknown): void {
  expect((error as Error).name).toBe('SimStopped')
}

/** A durable file of `size` fillers, opened for writing, all synchronously. */
function openNew(path: string, size: number, filler: string): { file: File; path: string } {
  const files = new SimFiles(disk, env.scheduler)
  const file = files.openSync(path, 'create')
  file.writeSync(text(filler.repeat(size)), 0)
  file.syncSync()
  files.changeNow('syncDirectory', '/')
  return { file, path }
}

describe('writes and syncs', () => {
  test('an un-synced write may vanish or stay; a synced one stays', () =>
    drive(async () => {
      await durableFile('/a', 'old')
      const file = await env.files.open('/a', 'write')
      await file.write(text('new'), 0)
      const copy = disk.fork(1)
      copy.crash(everything)
      expect(copy.file('/a').cachedBytes()).toEqual(text('new'))
      const lost = disk.crash(nothing).lostBytes
      expect([...lost]).toEqual([['/a', 3]])
      expect(survivor('/a')).toBe('old')
      env = createSimEnvironment({ seed: 2, disk })
    }))

  test('a sync covers what was written before it was called, not what came while it ran', () =>
    drive(async () => {
      await durableFile('/a', '------')
      const file = await env.files.open('/a', 'write')
      await file.write(text('AA'), 0)
      const syncing = file.sync()
      file.writeSync(text('BB'), 2)
      await syncing
      disk.crash(nothing)
      expect(survivor('/a')).toBe('AA----')
    }).catch(ignoreStop))

  test('a sync makes bytes and size durable, but not the name', () =>
    drive(async () => {
      const file = await env.files.open('/a', 'create')
      await file.write(text('abc'), 0)
      await file.sync()
      const copy = disk.fork(1)
      copy.crash({ ...nothing, names: 'all' })
      expect(copy.file('/a').cachedBytes()).toEqual(text('abc'))
      disk.crash(nothing)
      expect(survivor('/a')).toBeUndefined()
    }).catch(ignoreStop))

  test('size without data reads as zeros; data without size is cut', () =>
    drive(async () => {
      await durableFile('/a', 'ab')
      const file = await env.files.open('/a', 'write')
      await file.write(text('cdef'), 2)
      const copy = disk.fork(1)
      copy.crash({ ...nothing, sizes: 'all' })
      expect(copy.file('/a').cachedBytes()).toEqual(text('ab\0\0\0\0'))
      disk.crash({ ...nothing, writes: 'all' })
      expect(survivor('/a')).toBe('ab')
    }).catch(ignoreStop))

  test('writes are torn at sectors of 512 bytes, and a later write of a sector brings the earlier one', () => {
    const { file } = openNew('/a', 2048, '.')
    file.writeSync(text('x'.repeat(1000)), 300)
    file.writeSync(text('y'.repeat(10)), 600)
    // Sector 0 of the first write is dropped, sector 1 of the second is kept: so sector 1 of the first is there too.
    disk.crash({ ...nothing, writes: (_path, write) => (write.bytes[0] === 'y'.charCodeAt(0) ? true : sector => sector === 2) })
    const content = survivor('/a')!
    expect(content.slice(0, 512)).toBe('.'.repeat(512))
    expect(content.slice(512, 600)).toBe('x'.repeat(88))
    expect(content.slice(600, 610)).toBe('y'.repeat(10))
    expect(content.slice(610, 1300)).toBe('x'.repeat(690))
    expect(content.slice(1300)).toBe('.'.repeat(748))
  })

  test('of two writes to one sector the later is not lost behind the earlier', () => {
    const { file } = openNew('/a', 4, '.')
    file.writeSync(text('11'), 0)
    file.writeSync(text('22'), 0)
    const copy = disk.fork(1)
    copy.crash({ ...nothing, writes: (_path, { bytes }) => bytes[0] === 0x31 })
    expect(copy.file('/a').cachedBytes()).toEqual(text('11..'))
    disk.crash({ ...nothing, writes: 'all' })
    expect(survivor('/a')).toBe('22..')
  })

  test('what a crash cut off does not come back when the file grows', () => {
    const { file } = openNew('/a', 2, 'q')
    file.writeSync(text('zzzz'), 2)
    disk.crash({ ...nothing, writes: 'all' })
    const next = new SimFiles(disk, env.scheduler).openSync('/a', 'write')
    next.writeSync(text('!'), 5)
    next.syncSync()
    disk.crash(nothing)
    expect(survivor('/a')).toBe('qq\0\0\0!')
  })

  test('an un-synced write that was truncated away is not kept', async () => {
    const { file } = openNew('/a', 2, 'q')
    file.writeSync(text('zzzz'), 2)
    await env.drive(() => file.truncate(3))
    file.writeSync(text('!'), 8)
    disk.crash(everything)
    expect(survivor('/a')).toBe('qqz\0\0\0\0\0!')
  })

  test('truncation is un-synced until a sync; cut bytes do not come back by growing', () => {
    const { file, path } = openNew('/a', 6, 'q')
    const truncated = env.drive(() => file.truncate(2))
    return truncated.then(async () => {
      const copy = disk.fork(1)
      copy.crash(nothing)
      expect(copy.file(path).cachedBytes()).toEqual(text('qqqqqq'))
      file.writeSync(text('z'), 4)
      const kept = disk.fork(1)
      kept.crash({ ...nothing, sizes: 'all' })
      expect(kept.file(path).cachedBytes()).toEqual(text('qq\0\0\0'))
      file.syncSync()
      disk.crash(nothing)
      expect(survivor(path)).toBe('qq\0\0z')
    })
  })
})

describe('durable writes (O_DSYNC)', () => {
  let durable: File
  beforeEach(() => {
    openNew('/a', 8, '.')
    durable = new SimFiles(disk, env.scheduler).openSync('/a', 'write-dsync')
  })

  test('are durable for their own range and for no other', () => {
    const plain = new SimFiles(disk, env.scheduler).openSync('/a', 'write')
    plain.writeSync(text('PP'), 0)
    durable.writeSync(text('DD'), 4)
    disk.crash(nothing)
    expect(survivor('/a')).toBe('....DD..')
  })

  test('carry the size they need, not the size others need', () => {
    const plain = new SimFiles(disk, env.scheduler).openSync('/a', 'write')
    plain.writeSync(text('P'), 20)
    durable.writeSync(text('DD'), 10)
    disk.crash(nothing)
    expect(survivor('/a')).toBe('........\0\0DD')
  })

  test('are not overwritten by an older write that is kept', () => {
    const plain = new SimFiles(disk, env.scheduler).openSync('/a', 'write')
    plain.writeSync(text('PPPPPP'), 0)
    durable.writeSync(text('DD'), 2)
    disk.crash({ ...nothing, writes: 'all' })
    expect(survivor('/a')).toBe('PPDDPP..')
  })

  test('behind an un-synced truncation make the truncation durable', async () => {
    const plain = new SimFiles(disk, env.scheduler).openSync('/a', 'write')
    await env.drive(() => plain.truncate(2))
    durable.writeSync(text('DD'), 4)
    disk.crash(nothing)
    expect(survivor('/a')).toBe('..\0\0DD')
  })

  test('in flight when the power goes they are torn like any write', () => {
    void durable.write(text('DDDDDDDD'), 0)
    const copy = disk.fork(1)
    copy.crash({ ...nothing, inFlight: 'all' })
    expect(copy.file('/a').cachedBytes()).toEqual(text('........'))
    disk.crash({ ...nothing, inFlight: 'all', writes: 'all' })
    expect(survivor('/a')).toBe('DDDDDDDD')
  })
})

describe('failed syncs (fsyncgate)', () => {
  test('what a failed sync should have covered is read until power loss, then gone, whatever is synced later', () =>
    drive(async () => {
      await durableFile('/a', '----')
      const file = await env.files.open('/a', 'write')
      await file.write(text('LL'), 0)
      const fault = disk.addFault({ kinds: ['sync'], path: '/a', code: 'EIO' })
      expect(await codeOf(() => file.sync())).toBe('EIO')
      expect(fault.fired).toBe(1)
      await file.write(text('K'), 3)
      await file.sync()
      const target = new Uint8Array(4)
      await file.read(target, 0)
      expect(target).toEqual(text('LL-K'))
      disk.crash(everything)
      expect(survivor('/a')).toBe('---K')
    }).catch(ignoreStop))

  test('a failed durable write is read and never durable', () => {
    const { path } = openNew('/a', 4, '.')
    const durable = new SimFiles(disk, env.scheduler).openSync(path, 'write-dsync')
    disk.addFault({ kinds: ['write'], code: 'EIO' })
    expect(() => durable.writeSync(text('DD'), 0)).toThrow('EIO')
    expect(survivor(path)).toBe('DD..')
    durable.syncSync()
    disk.crash(everything)
    expect(survivor(path)).toBe('....')
  })

  test('a killed process leaves the failed pages in the cache', () => {
    const { file, path } = openNew('/a', 4, '.')
    file.writeSync(text('LL'), 0)
    disk.addFault({ kinds: ['sync'], code: 'EIO' })
    expect(() => file.syncSync()).toThrow('EIO')
    disk.processKill()
    expect(survivor(path)).toBe('LL..')
    disk.crash(everything)
    expect(survivor(path)).toBe('....')
  })
})

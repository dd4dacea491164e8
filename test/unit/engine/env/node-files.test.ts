// Goal: what only the real `Files` can get wrong: short transfers, descriptors, O_DSYNC, timers and random numbers of the system.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { File } from '../../../../engine/env/index.ts'
import { codeOf, nodeWorld, testWorker, type World } from './worlds.ts'

let world: World
let file: File

beforeEach(async () => {
  world = await nodeWorld()
  file = await world.env.files.open(`${world.folder}/a`, 'create')
})
afterEach(async () => {
  vi.restoreAllMocks()
  await file.close()
  await world.dispose()
})

const source = Uint8Array.from({ length: 1000 }, (_, index) => index % 251)

describe('short transfers are continued', () => {
  /** Makes the asynchronous call transfer at most 7 bytes at a time. */
  function shorten(name: 'read' | 'write'): { calls: number } {
    const counter = { calls: 0 }
    const real = fs[name] as unknown as (...args: unknown[]) => void
    vi.spyOn(fs, name).mockImplementation(((fd: number, bytes: Uint8Array, from: number, length: number, ...rest: unknown[]) => {
      counter.calls++
      real(fd, bytes, from, Math.min(length, 7), ...rest)
    }) as never)
    return counter
  }

  test('asynchronous', async () => {
    const writes = shorten('write')
    const reads = shorten('read')
    await file.write(source, 3)
    const target = new Uint8Array(1003)
    expect(await file.read(target, 0)).toBe(1003)
    expect(target.subarray(3)).toEqual(source)
    expect(writes.calls).toBe(Math.ceil(1000 / 7))
    expect(reads.calls).toBe(Math.ceil(1003 / 7))
  })

  test('synchronous', () => {
    const realWrite = fs.writeSync as unknown as (...args: unknown[]) => number
    const realRead = fs.readSync as unknown as (...args: unknown[]) => number
    const shortened =
      (real: (...args: unknown[]) => number) =>
      (fd: number, bytes: Uint8Array, from: number, length: number, position: number): number =>
        real(fd, bytes, from, Math.min(length, 9), position)
    vi.spyOn(fs, 'writeSync').mockImplementation(shortened(realWrite) as never)
    vi.spyOn(fs, 'readSync').mockImplementation(shortened(realRead) as never)
    file.writeSync(source, 0)
    const target = new Uint8Array(1000)
    expect(file.readSync(target, 0)).toBe(1000)
    expect(target).toEqual(source)
  })

  test('a write that makes no progress is an error, not a loop', async () => {
    vi.spyOn(fs, 'write').mockImplementation(((
      _fd: number,
      _b: unknown,
      _f: number,
      _l: number,
      _p: number,
      done: (e: null, n: number) => void,
    ) => setImmediate(done, null, 0)) as never)
    vi.spyOn(fs, 'writeSync').mockImplementation((() => 0) as never)
    expect(await codeOf(() => file.write(source, 0))).toBe('EIO')
    expect(await codeOf(() => file.writeSync(source, 0))).toBe('EIO')
  })

  test('an error in the middle is the system error', async () => {
    let calls = 0
    const real = fs.write as unknown as (...args: unknown[]) => void
    vi.spyOn(fs, 'write').mockImplementation(((
      fd: number,
      bytes: Uint8Array,
      from: number,
      _length: number,
      position: number,
      done: unknown,
    ) => {
      if (++calls < 3) real(fd, bytes, from, 5, position, done)
      else setImmediate(done as (error: Error) => void, Object.assign(new Error('full'), { code: 'ENOSPC' }))
    }) as never)
    expect(await codeOf(() => file.write(source, 0))).toBe('ENOSPC')
    expect(await file.size()).toBe(10)
  })
})

test('write-dsync opens with O_DSYNC on Linux and says so', async () => {
  const durable = await world.env.files.open(`${world.folder}/a`, 'write-dsync')
  expect(durable.dsync).toBe(process.platform === 'linux')
  expect(file.dsync).toBe(false)
  if (process.platform === 'linux') {
    const flags = fs
      .readdirSync('/proc/self/fd')
      .filter(fd => linkOf(fd).endsWith('/a'))
      .map(fd => Number.parseInt(/flags:\s+(\d+)/.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0', 8))
    expect(flags.filter(value => (value & fs.constants.O_DSYNC) !== 0)).toHaveLength(1)
  }
  await durable.close()
})

function linkOf(fd: string): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}

describe('folders', () => {
  test('are made with those above them, also by several at once', async () => {
    const { files } = world.env
    await Promise.all(Array.from({ length: 10 }, (_, i) => files.makeDirectory(`${world.folder}/x/y/${i % 3}`)))
    expect(await files.list(`${world.folder}/x/y`)).toEqual(['0', '1', '2'])
    expect(await codeOf(() => files.makeDirectory(`${world.folder}/a`))).toBe('EEXIST')
    expect(await codeOf(() => files.makeDirectory(`${world.folder}/a/b`))).toBe('ENOTDIR')
  })

  // /proc takes no folders and says ENOENT, which `mkdir` with `recursive` tries for ever. On a read-only system it says ENOENT for EROFS.
  test.runIf(process.platform === 'linux')('are refused at once where none can be made', async () => {
    expect(await codeOf(() => world.env.files.makeDirectory('/proc/varve/data'))).toBe('ENOENT')
  })
})

test('closing gives the descriptor back only after what is under way', async () => {
  const order: string[] = []
  const big = new Uint8Array(4 << 20)
  const writing = file.write(big, 0).then(() => order.push('written'))
  await file.close().then(() => order.push('closed'))
  await writing
  expect(order).toEqual(['written', 'closed'])
  expect(fs.statSync(`${world.folder}/a`).size).toBe(big.length)
})

test('a pending timer does not keep a process alive, soon does; long delays do not fire at once', () => {
  const entry = new URL('../../../../dist/engine/env/index.js', import.meta.url).href
  const program = `
    import { createNodeEnvironment } from ${JSON.stringify(entry)}
    const { timers } = createNodeEnvironment({ worker: new URL(${JSON.stringify(testWorker.href)}) })
    timers.after(60_000, () => console.log('late'))
    timers.after(2 ** 33, () => console.log('overflow'))
    timers.after(0, () => console.log('cancelled'))()
    timers.soon(() => console.log('soon'))`
  expect(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', timeout: 20_000 })).toBe('soon\n')
})

test('timers run after their delay and can be cancelled', async () => {
  const { timers, clock } = world.env
  const startedAt = clock.monotonic()
  let cancelled = true
  timers.after(1, () => {
    cancelled = false
  })()
  const keepAlive = setTimeout(() => undefined, 10_000)
  await new Promise<void>(resolve => timers.after(20, resolve))
  clearTimeout(keepAlive)
  expect(clock.monotonic() - startedAt).toBeGreaterThan(18)
  expect(cancelled).toBe(true)
  expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1000)
})

test('random numbers stay in their bounds and reach all of them', () => {
  const { random } = world.env
  const seen = new Set<number>()
  for (let count = 0; count < 1000; count++) seen.add(random.below(7))
  expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(random.below(1)).toBe(0)
  expect(random.below(0x1_0000_0000)).toBeLessThan(0x1_0000_0000)
  expect(() => random.below(0)).toThrow('bound')
})

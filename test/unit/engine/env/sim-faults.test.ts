// Goal: injected faults hit what they name, as often as they say, and prove it by counters; the disk gets full as disks do.
import { beforeEach, expect, test } from 'vitest'
import { createSimEnvironment, type File, type SimEnvironment } from '../../../../engine/env/index.ts'
import { codeOf, text } from './worlds.ts'

let env: SimEnvironment
let file: File

beforeEach(async () => {
  env = createSimEnvironment({ seed: 1, capacityBytes: 10_000 })
  file = await env.drive(() => env.files.open('/log.1', 'create'))
})

test('the nth matching operation fails, once or for ever', () =>
  env.drive(async () => {
    const second = env.disk.addFault({ kinds: ['write'], path: /log\.\d$/, code: 'EIO', skip: 1 })
    expect(await codeOf(() => file.write(text('1'), 0))).toBeUndefined()
    expect(await codeOf(() => file.writeSync(text('2'), 1))).toBe('EIO')
    expect(await codeOf(() => file.write(text('3'), 1))).toBeUndefined()
    expect([second.matched, second.fired]).toEqual([3, 1])
    second.remove()
    const lasting = env.disk.addFault({ kinds: ['read', 'list'], code: 'EIO', times: Number.POSITIVE_INFINITY })
    for (let count = 0; count < 3; count++) expect(await codeOf(() => file.read(new Uint8Array(1), 0))).toBe('EIO')
    expect(await codeOf(() => env.files.listSync('/'))).toBe('EIO')
    expect(lasting.fired).toBe(4)
    env.disk.clearFaults()
    expect(env.files.listSync('/')).toEqual(['log.1'])
  }))

test('every kind can fail, and then nothing has happened', () =>
  env.drive(async () => {
    await env.files.makeDirectory('/d')
    const { files } = env
    const operations: [string, () => Promise<unknown>][] = [
      ['create', () => files.open('/new', 'create')],
      ['open', () => files.open('/log.1', 'read')],
      ['stat', () => files.stat('/log.1')],
      ['makeDirectory', () => files.makeDirectory('/e')],
      ['rename', () => files.rename('/log.1', '/x')],
      ['link', () => files.link('/log.1', '/y')],
      ['remove', () => files.remove('/log.1')],
      ['removeDirectory', () => files.removeDirectory('/d')],
      ['syncDirectory', () => files.syncDirectory('/')],
      ['truncate', () => file.truncate(5)],
      ['sync', () => file.sync()],
    ]
    for (const [kind, run] of operations) {
      const fault = env.disk.addFault({ kinds: [kind as never], code: 'EROFS' })
      expect(await codeOf(run)).toBe('EROFS')
      expect(fault.fired).toBe(1)
    }
    expect(files.listSync('/')).toEqual(['d', 'log.1'])
    expect(file.sizeSync()).toBe(0)
  }))

test('a failing write may leave a part', () =>
  env.drive(async () => {
    const sizes = new Set<number>()
    for (let count = 0; count < 40; count++) {
      env.disk.addFault({ kinds: ['write'], code: 'EIO', partial: true })
      expect(await codeOf(() => file.write(text('abc'), 0))).toBe('EIO')
      sizes.add(await file.size())
      await file.truncate(0)
    }
    expect([...sizes].sort()).toEqual([0, 1, 2, 3])
  }))

test('a failing write of one sector leaves all of it or nothing, of one that straddles two any part', () =>
  env.drive(async () => {
    const sizes = async (position: number): Promise<number[]> => {
      const seen = new Set<number>()
      for (let count = 0; count < 3000; count++) {
        env.disk.addFault({ kinds: ['write'], code: 'EIO', partial: true })
        expect(await codeOf(() => file.write(new Uint8Array(512), position))).toBe('EIO')
        seen.add(await file.size())
        await file.truncate(0)
      }
      return [...seen].sort((a, b) => a - b)
    }
    expect(await sizes(512)).toEqual([0, 1024])
    expect((await sizes(100)).length).toBeGreaterThan(100)
  }))

test('delays stretch an operation and errors still arrive', () =>
  env.drive(async () => {
    env.disk.addFault({ kinds: ['sync'], delayMs: 5000, times: 2 })
    const startedAt = env.clock.monotonic()
    await file.sync()
    expect(env.clock.monotonic() - startedAt).toBeGreaterThan(5000)
    env.disk.addFault({ kinds: ['sync'], code: 'EIO' })
    expect(await codeOf(() => file.sync())).toBe('EIO')
    expect(env.clock.monotonic() - startedAt).toBeGreaterThan(10_000)
  }))

test('a full disk takes what fits, refuses the rest, and has room again after removals', () =>
  env
    .drive(async () => {
      await file.write(new Uint8Array(9000), 0)
      expect(await codeOf(() => file.write(new Uint8Array(2000), 9000))).toBe('ENOSPC')
      expect(await file.size()).toBe(10_000)
      expect(env.disk.usedBytes).toBe(10_000)
      expect(await codeOf(() => file.write(new Uint8Array(100), 500))).toBeUndefined()
      expect(await codeOf(() => file.truncate(10_001))).toBe('ENOSPC')
      await file.truncate(4000)
      const other = await env.files.open('/other', 'create')
      await other.write(new Uint8Array(6000), 0)
      await env.files.remove('/log.1')
      // The open handle keeps the space, as on a real system.
      expect(await codeOf(() => other.write(text('x'), 6000))).toBe('ENOSPC')
      await file.close()
      expect(env.disk.usedBytes).toBe(6000)
      await env.files.rename('/other', '/again')
      await other.write(new Uint8Array(4000), 6000)
      await other.close()
      env.disk.crash({ names: 'none' })
      expect(env.disk.usedBytes).toBe(0)
    })
    .catch((error: Error) => expect(error.name).toBe('SimStopped')))

test('a flipped bit is read back, also after a crash', () =>
  env
    .drive(async () => {
      await file.write(text('abc'), 0)
      await file.sync()
      await env.files.syncDirectory('/')
      env.disk.flipBit('/log.1', 1, 0)
      const target = new Uint8Array(3)
      await file.read(target, 0)
      expect(target).toEqual(text('acc'))
      env.disk.crash()
      expect(env.disk.file('/log.1').durableBytes()).toEqual(text('acc'))
    })
    .catch((error: Error) => expect(error.name).toBe('SimStopped')))

test('a flipped bit in a catalog is CORRUPT, a failing disk makes its changes fail and later ones refuse', async () => {
  const world = createSimEnvironment({ seed: 1 })
  await world.drive(async () => {
    const view = await world.catalogs.open('/c')
    view.change({ puts: [{ key: text('k'), value: text('v') }], deletes: [] })
    world.disk.addFault({ kinds: ['sync'], code: 'EIO', skip: 1 })
    expect(await codeOf(() => view.change({ puts: [{ key: text('k'), value: text('w') }], deletes: [] }))).toBe('IO')
    expect(view.get(text('k'))).toEqual(text('v'))
    expect(await codeOf(() => view.change({ puts: [], deletes: [text('k')] }))).toBe('POISONED')
    await view.close()
    const size = (await world.files.stat('/c/data.mdb'))!.size
    const intact = world.disk.fork(1)
    intact.crash({ writes: 'none' })
    for (const position of [0, 9, 500, 530, size - 60]) {
      const copy = intact.fork(1)
      copy.flipBit('/c/data.mdb', position, 3)
      const next = createSimEnvironment({ seed: 2, disk: copy })
      expect(await codeOf(() => next.catalogs.open('/c'))).toBe('CORRUPT')
    }
  })
})

test('hooks see each mutating operation once, in order, before its effect', () =>
  env.drive(async () => {
    const seen: string[] = []
    const stop = env.disk.onOperation((operation, index) => {
      seen.push(`${index} ${operation.kind} ${operation.path} ${env.disk.file('/log.1').size}`)
    })
    await file.write(text('abc'), 0)
    await file.read(new Uint8Array(1), 0)
    file.syncSync()
    await env.files.makeDirectory('/x')
    stop()
    await file.write(text('abc'), 0)
    expect(seen).toEqual(['2 write /log.1 0', '3 sync /log.1 3', '4 makeDirectory /x 3'])
    expect(env.disk.operationCount).toBe(5)
  }))

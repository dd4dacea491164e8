// Goal: what is left of names after power loss (engine/env/sim/folder-state.ts), and what is left of a process after its end.
import { beforeEach, describe, expect, test } from 'vitest'
import { type CrashOptions, createSimEnvironment, type File, SimDisk, type SimEnvironment } from '../../../../engine/env/index.ts'
import { SimFiles } from '../../../../engine/env/sim/files.ts'
import { SimRandom } from '../../../../engine/env/sim/random.ts'
import { SimScheduler } from '../../../../engine/env/sim/scheduler.ts'
import { codeOf, text } from './worlds.ts'

const nothing: CrashOptions = { writes: 'none', sizes: 'none', names: 'none', inFlight: 'none' }
const _everything: CrashOptions = { writes: 'all', sizes: 'all', names: 'all', inFlight: 'all' }

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

function namesOf(of: SimDisk, folder = '/'): string[] {
  return new SimFiles(of, env.scheduler).listSync(folder)
}

describe('names', () => {
  const change = (files: SimFiles) => (kind: 'remove' | 'makeDirectory' | 'syncDirectory', path: string) => files.changeNow(kind, path)

  test('a new name, a rename and a removal need the folder synced', () =>
    drive(async () => {
      await durableFile('/a', 'A')
      await durableFile('/b', 'B')
      await env.files.rename('/a', '/c')
      await env.files.remove('/b')
      await env.files.link('/c', '/d')
      const before = disk.fork(1)
      before.crash(nothing)
      expect(namesOf(before)).toEqual(['a', 'b'])
      await env.files.syncDirectory('/')
      disk.crash(nothing)
      expect(namesOf(disk)).toEqual(['c', 'd'])
      expect([survivor('/c'), survivor('/d')]).toEqual(['A', 'A'])
    }).catch(ignoreStop))

  test('prefix mode keeps the first changes of a folder; subset mode any', () => {
    const files = new SimFiles(disk, env.scheduler)
    for (const name of ['1', '2', '3']) files.openSync(`/${name}`, 'create')
    const seen = { prefix: new Set<string>(), subset: new Set<string>() }
    for (let seed = 0; seed < 100; seed++) {
      for (const names of ['prefix', 'subset'] as const) {
        const copy = disk.fork(seed)
        copy.crash({ names })
        seen[names].add(namesOf(copy).join(''))
      }
    }
    expect([...seen.prefix].sort()).toEqual(['', '1', '12', '123'])
    expect([...seen.subset].sort()).toEqual(['', '1', '12', '123', '13', '2', '23', '3'])
  })

  test('a rename inside a folder is atomic: one of both names, with one of both files', () => {
    openNew('/new', 1, 'N')
    openNew('/name', 1, 'O')
    const files = new SimFiles(disk, env.scheduler)
    void files.rename('/new', '/name')
    const seen = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      const copy = disk.fork(seed)
      copy.crash({ names: 'subset' })
      seen.add(namesOf(copy).join() + new TextDecoder().decode(copy.file('/name').cachedBytes()))
    }
    expect([...seen].sort()).toEqual(['name,newO', 'nameN'])
  })

  test('a file moved between folders is never lost, and may be in both', () => {
    const files = new SimFiles(disk, env.scheduler)
    for (const folder of ['/from', '/to']) change(files)('makeDirectory', folder)
    openNew('/from/x', 1, 'X')
    for (const folder of ['/from', '/to', '/']) change(files)('syncDirectory', folder)
    return env
      .drive(() => files.rename('/from/x', '/to/x'))
      .then(() => {
        const seen = new Set<string>()
        for (let seed = 0; seed < 60; seed++) {
          const copy = disk.fork(seed)
          copy.crash({ names: seed % 2 === 0 ? 'prefix' : 'subset' })
          seen.add(`${namesOf(copy, '/from')}|${namesOf(copy, '/to')}`)
        }
        expect([...seen].sort()).toEqual(['x|', 'x|x', '|x'])
        const synced = disk.fork(1)
        new SimFiles(synced, env.scheduler).changeNow('syncDirectory', '/from')
        synced.crash(nothing)
        expect([namesOf(synced, '/from'), namesOf(synced, '/to')]).toEqual([[], ['x']])
      })
  })

  test('a new folder that is not durable takes its files with it', () => {
    const files = new SimFiles(disk, env.scheduler)
    change(files)('makeDirectory', '/d/e')
    const file = files.openSync('/d/e/x', 'create')
    file.writeSync(text('x'), 0)
    file.syncSync()
    change(files)('syncDirectory', '/d/e')
    change(files)('syncDirectory', '/d')
    const copy = disk.fork(1)
    copy.crash(nothing)
    expect(namesOf(copy)).toEqual([])
    change(files)('syncDirectory', '/')
    disk.crash(nothing)
    expect(survivor('/d/e/x')).toBe('x')
  })

  test('a removed file whose removal is not durable is back', () => {
    openNew('/a', 3, 'a')
    const files = new SimFiles(disk, env.scheduler)
    change(files)('remove', '/a')
    disk.crash(nothing)
    expect(survivor('/a')).toBe('aaa')
  })
})

describe('ends of processes', () => {
  test('after a crash old handles and folders are dead, and a new environment goes on', async () => {
    await drive(() => durableFile('/a', 'abc'))
    const handle = env.files.openSync('/a', 'write')
    const answered: string[] = []
    handle.write(text('x'), 0).then(
      () => answered.push('written'),
      () => answered.push('failed'),
    )
    env.timers.after(1, () => answered.push('timer'))
    env.timers.soon(() => answered.push('soon'))
    disk.crash(nothing)
    expect(env.isAlive).toBe(false)
    await env.scheduler.run()
    expect(answered).toEqual([])
    for (const use of [
      () => handle.readSync(new Uint8Array(1), 0),
      () => handle.sync(),
      () => env.files.list('/'),
      () => env.files.openSync('/a', 'read'),
    ]) {
      expect(await codeOf(use)).toBe('EBADF')
    }
    const next = createSimEnvironment({ seed: 2, disk, scheduler: env.scheduler })
    const names = await next.drive(() => next.files.list('/'))
    expect(names).toEqual(['a'])
  })

  test('a killed process loses nothing that was written, and in-flight writes may be there, wholly or in part', () => {
    const { file } = openNew('/a', 4 * 512, '.')
    file.writeSync(text('W'), 3 * 512)
    // One character a sector: within a sector a write is not cut.
    void file.write(text('1'.repeat(512) + '2'.repeat(512) + '3'.repeat(512)), 0)
    const seen = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      const copy = disk.fork(seed)
      copy.processKill()
      const cached = new TextDecoder().decode(copy.file('/a').cachedBytes())
      seen.add(cached.replace(/(.)\1{511}/g, '$1').replace(/\.{511}$/, ''))
    }
    expect([...seen].sort()).toEqual(['...W', '1..W', '12.W', '123W'])
  })

  test('one mount can be killed alone', async () => {
    const worker = new SimFiles(disk, env.scheduler)
    const file = worker.openSync('/a', 'create')
    disk.processKill(worker)
    expect(await codeOf(() => file.writeSync(text('x'), 0))).toBe('EBADF')
    expect(env.isAlive).toBe(true)
    expect(env.files.listSync('/')).toEqual(['a'])
  })

  test('a crash inside a hook stops the operation at hand, which may or may not have happened', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 20; seed++) {
      const world = createSimEnvironment({ seed })
      world.disk.onOperation((operation, index) => {
        if (operation.kind === 'create') {
          expect(index).toBe(1)
          world.disk.crash({ seed })
        }
      })
      await expect(world.drive(() => world.files.open('/a', 'create'))).rejects.toThrow('stopped')
      seen.add(new SimFiles(world.disk, world.scheduler).listSync('/').join())
    }
    expect([...seen].sort()).toEqual(['', 'a'])
  })

  test('a crash at every operation of a catalog change leaves the old or the new rows', async () => {
    const program = createSimEnvironment({ seed: 4 })
    const outcomes = new Set<string>()
    const pending: Promise<void>[] = []
    await program.drive(async () => {
      const view = await program.catalogs.open('/catalog')
      view.change({ puts: [{ key: text('k'), value: text('old') }], deletes: [] })
      const stop = program.disk.onOperation(() => {
        for (let seed = 0; seed < 10; seed++) {
          const copy = program.disk.fork(seed)
          copy.crash({ seed })
          pending.push(
            (async () => {
              const next = createSimEnvironment({ seed, disk: copy })
              const again = await next.catalogs.open('/catalog')
              outcomes.add(
                again
                  .rows()
                  .map(({ key, value }) => new TextDecoder().decode(key) + new TextDecoder().decode(value))
                  .join(),
              )
            })(),
          )
        }
      })
      view.change({
        puts: [
          { key: text('k'), value: text('new') },
          { key: text('l'), value: text('x'.repeat(2)) },
        ],
        deletes: [],
      })
      stop()
      await view.close()
    })
    await Promise.all(pending)
    expect([...outcomes].sort()).toEqual(['knew,lxx', 'kold'])
    program.disk.crash(nothing)
    const next = createSimEnvironment({ seed: 5, disk: program.disk })
    expect((await next.catalogs.open('/catalog')).rows()).toHaveLength(2)
  })
})

test('a scheduler alone drives plain disks too', async () => {
  const scheduler = new SimScheduler(new SimRandom(1))
  const files = new SimFiles(new SimDisk({ seed: 1 }), scheduler)
  expect(await scheduler.drive(() => files.list('/'))).toEqual([])
})

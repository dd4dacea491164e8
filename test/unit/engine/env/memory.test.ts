// Goal: what only the environment in memory promises: bytes of any pattern of writes, tasks and answers in turns of their own, no sharing.
import { expect, test } from 'vitest'
import { createMemoryEnvironment, SimRandom } from '../../../../engine/env/index.ts'
import { memoryWorld, text } from './worlds.ts'

test.each([1, 2, 3])('random writes, truncations and reads over block borders agree with an array (seed %i)', async seed => {
  const random = new SimRandom(seed)
  const { env } = await memoryWorld()
  const file = env.files.openSync('/data/f', 'create')
  const model = new Uint8Array(200_000)
  let size = 0
  for (let step = 0; step < 400; step++) {
    const position = random.below(100_000)
    const kind = random.below(4)
    if (kind === 0) {
      await file.truncate(position)
      if (position < size) model.fill(0, position, size)
      size = position
    } else if (kind === 1) {
      const target = new Uint8Array(random.below(50_000)).fill(7)
      const expected = target.slice()
      const count = Math.max(0, Math.min(target.length, size - position))
      expected.set(model.subarray(position, position + count))
      expect(file.readSync(target, position)).toBe(count)
      expect(Buffer.compare(target, expected)).toBe(0)
    } else {
      const source = new Uint8Array(random.below(2) === 0 ? random.below(100) : random.below(60_000)).fill(1 + random.below(250))
      file.writeSync(source, position)
      model.set(source, position)
      if (source.length > 0) size = Math.max(size, position + source.length)
    }
    expect(file.sizeSync()).toBe(size)
  }
  const all = new Uint8Array(size)
  expect(await file.read(all, 0)).toBe(size)
  expect(Buffer.compare(all, model.subarray(0, size))).toBe(0)
})

test('a task begins in a later turn, not within the call nor behind it in the same turn', async () => {
  let begun = 0
  const env = createMemoryEnvironment({ runners: { count: async () => ++begun } })
  const executor = env.createExecutor()
  const done = executor.run<number>({ kind: 'count', input: 0 })
  expect(begun).toBe(0)
  for (let i = 0; i < 20; i++) await Promise.resolve()
  expect(begun).toBe(0)
  expect(await done).toBe(1)
  await executor.close()
})

test('a loop of awaited writes leaves other work its turns', async () => {
  const { env } = await memoryWorld()
  const file = await env.files.open('/data/f', 'create')
  let turns = 0
  const count = (): void => {
    if (++turns < 1000) env.timers.soon(count)
  }
  env.timers.soon(count)
  for (let i = 0; i < 10; i++) await file.write(text('x'), i)
  for (let i = 0; i < 10; i++) await file.sync()
  expect(turns).toBeGreaterThanOrEqual(20)
  turns = 1000
})

test('two environments share no files, no catalogs, no locks', async () => {
  const [left, right] = [await memoryWorld(), await memoryWorld()]
  ;(await left.env.files.open('/data/f', 'create')).closeSync()
  expect(await right.env.files.list('/data')).toEqual([])
  const view = await left.env.catalogs.open('/data/catalog')
  view.change({ puts: [{ key: text('k'), value: text('v') }], deletes: [] })
  expect((await right.env.catalogs.open('/data/catalog')).rows()).toEqual([])
  await left.env.locks.acquire('/data/lock')
  await (await right.env.locks.acquire('/data/lock')).release()
})

test('names end as on a real disk: folders do not move into themselves, the root cannot be moved and is emptied', async () => {
  const { files } = (await memoryWorld()).env
  await files.makeDirectory('/data/a/b')
  await expect(files.rename('/data/a', '/data/a/b/c')).rejects.toMatchObject({ code: 'EINVAL' })
  await expect(files.remove('/data/a')).rejects.toMatchObject({ code: 'EISDIR' })
  await expect(files.link('/data/a', '/data/l')).rejects.toMatchObject({ code: 'EPERM' })
  await expect(files.rename('/', '/x')).rejects.toMatchObject({ code: 'EPERM' })
  expect(await files.list('data/./a/../a')).toEqual(['b'])
  await files.removeDirectory('/')
  expect(await files.list('/')).toEqual([])
})

// Goal: all implementations of `Files` and `File` do the same for the same calls, errors included.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Files } from '../../../../engine/env/index.ts'
import { bytesOf, codeOf, text, type World, worlds } from './worlds.ts'

describe.each(worlds)('files on %s', (_, make) => {
  let world: World
  let files: Files
  const at = (name: string): string => `${world.folder}/${name}`
  const drive = <T>(work: () => Promise<T>): Promise<T> => world.drive(work)

  beforeEach(async () => {
    world = await make()
    files = world.env.files
  })
  afterEach(() => world.dispose())

  async function put(name: string, content: string): Promise<void> {
    const file = await files.open(at(name), 'create')
    await file.write(text(content), 0)
    await file.close()
  }

  async function contentOf(name: string): Promise<string> {
    const file = await files.open(at(name), 'read')
    const bytes = new Uint8Array(await file.size())
    await file.read(bytes, 0)
    await file.close()
    return new TextDecoder().decode(bytes)
  }

  test('bytes come back as written, at any position, sync and async', () =>
    drive(async () => {
      const file = await files.open(at('a'), 'create')
      await file.write(bytesOf(1, 2, 3, 4), 0)
      file.writeSync(bytesOf(9), 2)
      await file.write(bytesOf(7), 6)
      const target = new Uint8Array(10).fill(255)
      expect(await file.read(target, 0)).toBe(7)
      expect([...target]).toEqual([1, 2, 9, 4, 0, 0, 7, 255, 255, 255])
      expect(file.readSync(target.subarray(0, 3), 5)).toBe(2)
      expect(await file.read(target, 100)).toBe(0)
      expect([await file.size(), file.sizeSync()]).toEqual([7, 7])
      await file.sync()
      file.syncSync()
      await file.close()
    }))

  test('empty reads and writes do nothing', () =>
    drive(async () => {
      const file = await files.open(at('a'), 'create')
      await file.write(bytesOf(), 5)
      file.writeSync(bytesOf(), 5)
      expect([await file.read(bytesOf(), 0), file.readSync(bytesOf(), 0), await file.size()]).toEqual([0, 0, 0])
      file.closeSync()
    }))

  test('shared memory is source and target of sync and async transfers', () =>
    drive(async () => {
      const shared = new Uint8Array(new SharedArrayBuffer(4096), 16, 1000)
      for (let index = 0; index < shared.length; index++) shared[index] = index % 251
      const file = await files.open(at('a'), 'create')
      await file.write(shared, 0)
      file.writeSync(shared, 1000)
      const async = new Uint8Array(new SharedArrayBuffer(2000))
      const sync = new Uint8Array(new SharedArrayBuffer(2048), 48)
      expect([await file.read(async, 0), file.readSync(sync, 0)]).toEqual([2000, 2000])
      await file.close()
      const expected = [...shared, ...shared]
      expect([...async]).toEqual(expected)
      expect([...sync]).toEqual(expected)
    }))

  test('truncation cuts and grows with zeros', () =>
    drive(async () => {
      await put('a', 'abcdef')
      const file = await files.open(at('a'), 'write')
      await file.truncate(2)
      await file.truncate(5)
      expect(await contentOf('a')).toBe('ab\0\0\0')
      await file.write(text('z'), 6)
      await file.close()
      expect(await contentOf('a')).toBe('ab\0\0\0\0z')
    }))

  test('open modes: create is exclusive, the others need a file, read refuses writes', () =>
    drive(async () => {
      await put('a', 'x')
      expect(await codeOf(() => files.open(at('a'), 'create'))).toBe('EEXIST')
      expect(await codeOf(() => files.openSync(at('a'), 'create'))).toBe('EEXIST')
      for (const mode of ['read', 'write', 'write-dsync'] as const) {
        expect(await codeOf(() => files.open(at('none'), mode))).toBe('ENOENT')
        expect(await codeOf(() => files.openSync(at('none'), mode))).toBe('ENOENT')
      }
      const reader = await files.open(at('a'), 'read')
      expect(await codeOf(() => reader.write(text('y'), 0))).toBe('EBADF')
      expect(await codeOf(() => reader.writeSync(text('y'), 0))).toBe('EBADF')
      await reader.close()
      const writer = await files.open(at('a'), 'write-dsync')
      await writer.write(text('yes'), 0)
      await writer.close()
      expect(await contentOf('a')).toBe('yes')
    }))

  test('a closed file answers EBADF, closing twice is fine, closing waits for what is under way', () =>
    drive(async () => {
      const file = await files.open(at('a'), 'create')
      const writing = file.write(text('late'), 0)
      const closing = file.close()
      expect(await codeOf(() => file.read(new Uint8Array(1), 0))).toBe('EBADF')
      await Promise.all([writing, closing, file.close()])
      file.closeSync()
      expect(await codeOf(() => file.writeSync(text('x'), 0))).toBe('EBADF')
      expect(await codeOf(() => file.sync())).toBe('EBADF')
      expect(await contentOf('a')).toBe('late')
    }))

  test('names: list is sorted by code unit, stat tells files from folders and nothing', () =>
    drive(async () => {
      await put('b', 'xyz')
      await put('B', '')
      await files.makeDirectory(at('c/d'))
      await files.makeDirectory(at('c/d'))
      expect(await files.list(world.folder)).toEqual(['B', 'b', 'c'])
      expect(files.listSync(at('c'))).toEqual(['d'])
      expect(await files.stat(at('b'))).toEqual({ size: 3, isDirectory: false })
      expect(files.statSync(at('c'))?.isDirectory).toBe(true)
      expect([await files.stat(at('none')), files.statSync(at('b/none'))]).toEqual([undefined, undefined])
      expect(await codeOf(() => files.list(at('none')))).toBe('ENOENT')
      expect(await codeOf(() => files.list(at('b')))).toBe('ENOTDIR')
    }))

  test('rename replaces, link does not', () =>
    drive(async () => {
      await put('a', 'A')
      await put('b', 'B')
      await files.rename(at('a'), at('b'))
      expect(await files.list(world.folder)).toEqual(['b'])
      await files.makeDirectory(at('sub'))
      await files.rename(at('b'), at('sub/b'))
      await files.link(at('sub/b'), at('linked'))
      expect(await codeOf(() => files.link(at('sub/b'), at('linked')))).toBe('EEXIST')
      const writer = await files.open(at('sub/b'), 'write')
      await writer.write(text('Z'), 0)
      await writer.close()
      await files.remove(at('sub/b'))
      expect(await contentOf('linked')).toBe('Z')
      expect(await codeOf(() => files.rename(at('none'), at('x')))).toBe('ENOENT')
      expect(await codeOf(() => files.remove(at('none')))).toBe('ENOENT')
    }))

  test('an open file outlives its name', () =>
    drive(async () => {
      await put('a', 'still here')
      const file = await files.open(at('a'), 'read')
      await files.remove(at('a'))
      expect(await files.stat(at('a'))).toBeUndefined()
      const target = new Uint8Array(10)
      expect(await file.read(target, 0)).toBe(10)
      expect(new TextDecoder().decode(target)).toBe('still here')
      await file.close()
    }))

  test('removeDirectory takes everything and accepts a missing folder; syncDirectory needs one', () =>
    drive(async () => {
      await files.makeDirectory(at('t/u'))
      await put('t/u/x', 'x')
      await put('t/y', 'y')
      await files.syncDirectory(at('t'))
      await files.removeDirectory(at('t'))
      await files.removeDirectory(at('t'))
      expect(await files.list(world.folder)).toEqual([])
      expect(await codeOf(() => files.syncDirectory(at('t')))).toBe('ENOENT')
    }))

  test('many writes at once all land', () =>
    drive(async () => {
      const file = await files.open(at('a'), 'create')
      const expected: number[] = []
      for (let index = 0; index < 64; index++) expected.push(...new Array<number>(100).fill(index))
      await Promise.all(Array.from({ length: 64 }, (_, index) => file.write(new Uint8Array(100).fill(index), index * 100)))
      const target = new Uint8Array(6400)
      await file.read(target, 0)
      await file.close()
      expect([...target]).toEqual(expected)
    }))
})

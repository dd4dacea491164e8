/** Goal: neither a backup nor a restore gets into the folder of the database by a symbolic link, whichever part of the path is one. Real file system. */
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeFiles } from '../../../../engine/env/index.ts'
import { openDatabase, restore } from '../../../../engine/index.ts'

let folder: string
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'varve-links-')))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a path that leads into the database by a link is refused, one that leads out of it is not', async () => {
  const own = join(folder, 'db')
  const db = await openDatabase(own)
  await db.store('s').put('a', 1)
  mkdirSync(join(folder, 'outside'))
  symlinkSync(own, join(folder, 'link'))
  symlinkSync(join(own, 'later'), join(folder, 'dangling'))
  symlinkSync(folder, join(folder, 'outside', 'up'))
  const inside = ['link', 'link/backup', 'link/a/b', 'dangling', 'outside/up/db/backup', 'outside/up/link/x']
  const before = readdirSync(own)
  for (const path of inside) {
    await expect(db.backup(join(folder, path)), path).rejects.toThrow(/^path must lie outside the folder of the database/)
  }
  expect(readdirSync(own)).toEqual(before)
  await db.backup(join(folder, 'outside', 'up', 'copy'))
  await db.close()
  for (const path of inside) await expect(restore(own, join(folder, path)), path).rejects.toThrow(/^to must lie outside/)
  expect(readdirSync(folder).sort()).toEqual(['copy', 'dangling', 'db', 'link', 'outside'])
  await restore(join(folder, 'copy'), join(folder, 'outside', 'restored'))
  const restored = await openDatabase(join(folder, 'outside', 'restored'))
  expect(restored.store('s').get('a')).toBe(1)
  await restored.close()
})

test('resolve follows links as far as the path exists', async () => {
  mkdirSync(join(folder, 'a'))
  symlinkSync(join(folder, 'a'), join(folder, 'to-a'))
  symlinkSync('to-a', join(folder, 'to-to-a'))
  symlinkSync('nowhere', join(folder, 'to-nowhere'))
  const resolved = async (path: string): Promise<string> => (await nodeFiles.resolve(join(folder, path))).slice(folder.length)
  expect(await resolved('to-to-a')).toBe('/a')
  expect(await resolved('to-to-a/x/y')).toBe('/a/x/y')
  expect(await resolved('to-nowhere/x')).toBe('/nowhere/x')
  expect(await resolved('none/./x/../y')).toBe('/none/y')
})

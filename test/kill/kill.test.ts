/**
 * Goal: a real process that is killed with SIGKILL at any moment loses nothing that it acknowledged as 'sync' or 'buffered', leaves every commit whole
 * or absent and the order of commits intact, in logs and in a store with its indexes and change feed, and its folder opens again, also when that
 * opening is killed too. `npm run soak:kill` does it 200 times.
 */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openDatabase } from '../../engine/index.ts'
import { holdFolder, KilledFolder } from './kill-run.ts'

let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-kill-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

test('ten kills of one folder, two of them while it opens', async () => {
  const victim = new KilledFolder(join(folder, 'data'))
  const complaints: string[] = []
  for (let round = 0; round < 10; round++) {
    const whileOpening = round === 4 || round === 7
    complaints.push(...(await victim.kill(round + 1, whileOpening ? 90 + round * 5 : 15 + round * 12, !whileOpening)))
    await victim.judge()
  }
  expect(complaints).toEqual([])
  expect(victim.acknowledgements).toBeGreaterThan(20) // how many depends on what else the machine does
})

test('the lock of a live process is respected and named, that of a killed one is taken over', async () => {
  const child = await holdFolder(folder)
  try {
    await expect(openDatabase(folder)).rejects.toMatchObject({ code: 'LOCKED', details: { owner: { pid: child.pid } } })
    await expect(openDatabase(folder)).rejects.toThrow(String(child.pid))
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  expect(JSON.parse(await readFile(join(folder, 'lock'), 'utf8'))).toMatchObject({ pid: child.pid })
  const database = await openDatabase(folder)
  expect(JSON.parse(await readFile(join(folder, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid })
  expect(database.list().map(({ name }) => name)).toEqual(expect.arrayContaining(['events', 'feed', 'table', 'store/users']))
  await database.close()
})

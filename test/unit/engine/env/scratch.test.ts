/** Goal: temporary folders of killed processes are swept by a later one, and nothing else is: not those of this process, of living ones, of other machines, nor what says no owner. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { makeScratchFolder, sweepScratchFolders } from '../../../../engine/env/index.ts'

const temporary = process.env.TMPDIR
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-scratch-'))
  process.env.TMPDIR = folder
})
afterEach(() => {
  if (temporary === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = temporary
  rmSync(folder, { recursive: true })
})

it('makes folders that nobody else reads, and leaves those of living processes alone', async () => {
  const one = makeScratchFolder('varve-job-')
  const other = makeScratchFolder('varve-job-')
  expect(one).not.toBe(other)
  if (process.platform !== 'win32') expect(statSync(one).mode & 0o777).toBe(0o700)
  expect(await sweepScratchFolders('varve-job-')).toEqual([])
  expect(readdirSync(folder).length).toBe(2)
})

it('sweeps what a process that is gone has left, and that alone', async () => {
  const mine = makeScratchFolder('varve-job-')
  const own = JSON.parse(readFileSync(join(mine, 'owner'), 'utf8')) as { pid: number; host: string; processStart: string }
  const { pid: gone } = spawnSync(process.execPath, ['-e', ''])
  const sleeper = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'])
  try {
    const left = (name: string, owner: unknown): string => {
      const path = join(folder, name)
      mkdirSync(path)
      writeFileSync(join(path, '0.blocks'), 'x'.repeat(100))
      if (owner !== undefined) writeFileSync(join(path, 'owner'), typeof owner === 'string' ? owner : JSON.stringify(owner))
      return path
    }
    const dead = left('varve-job-dead', { ...own, pid: gone })
    const reused = left('varve-job-reused', { ...own, processStart: '1' })
    const kept = [
      left('varve-job-living', { ...own, pid: sleeper.pid, processStart: '' }),
      left('varve-job-elsewhere', { ...own, pid: gone, host: 'another-machine', bootId: 'x' }),
      left('varve-job-unmarked', undefined),
      left('varve-job-damaged', '{"pid":'),
      left('other-dead', { ...own, pid: gone }),
      mine,
    ]
    // A link that leads to a folder that would go.
    symlinkSync(join(folder, 'other-dead'), join(folder, 'varve-job-link'))
    const swept = await sweepScratchFolders('varve-job-')
    // Where the system tells when a process started, a number that was given again is known.
    expect(swept.sort()).toEqual(own.processStart === '' ? [dead] : [dead, reused])
    expect(kept.filter(path => !existsSync(path))).toEqual([])
  } finally {
    sleeper.kill('SIGKILL')
  }
})

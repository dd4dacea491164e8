/** Goal: a file of the commit log that is given back does not wait for the one that is prepared, and serves as the one after it; closing waits for both. */
import { expect, test } from 'vitest'
import { closeLogFile, FilePool } from '../../../../engine/commit-log/file-pool.ts'
import { Deferred } from '../../../../engine/commit-log/ticket.ts'
import type { Environment, Files } from '../../../../engine/env/index.ts'
import { newEnvironment } from '../../../probes/support.ts'

const folder = '/data'
const size = 64 * 1024

/** The same files, but that creating one waits for `gate`. */
function slowToCreate(files: Files, gate: () => Promise<void>): Files {
  return new Proxy(files, {
    get(target, name: keyof Files) {
      if (name !== 'open') return (target[name] as (...args: unknown[]) => unknown).bind(target)
      return async (path: string, mode: Parameters<Files['open']>[1]) => {
        if (mode === 'create') await gate()
        return await target.open(path, mode)
      }
    },
  })
}

test('a file is given back beside the preparation of the next one, and used for the one after that', async () => {
  const environment = newEnvironment(3)
  await environment.drive(async () => {
    const gate = new Deferred()
    let isSlow = false
    await environment.files.makeDirectory(folder)
    const slow = {
      ...environment,
      files: slowToCreate(environment.files, async () => (isSlow ? await gate.promise : undefined)),
    } as Environment
    const pool = new FilePool(slow, folder, { fileBytesFirst: size, fileBytesMax: size, nextNumber: 0, spares: [] })
    const first = await pool.take(size)
    isSlow = true
    pool.prepare()
    await closeLogFile(first)
    await pool.recycle(first.number, first.path, first.size)
    expect(await environment.files.list(folder)).toEqual(['spare-0000000000.log'])
    gate.resolve()
    const second = await pool.take(size)
    const third = await pool.take(size)
    expect([second.number, third.number]).toEqual([1, 2])
    expect(await environment.files.list(folder)).toEqual(['commit-0000000001.log', 'commit-0000000002.log'])
    for (const file of [second, third]) {
      await closeLogFile(file)
      void pool.recycle(file.number, file.path, file.size)
    }
    await pool.close()
    expect(await environment.files.list(folder)).toEqual([])
  })
})

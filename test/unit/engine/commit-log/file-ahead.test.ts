/** Goal: the next file of the commit log is there when it is needed: from half of the one before on, and earlier when that fills fast; a small database makes none. */
import { expect, test } from 'vitest'
import { bytesOf, newEnvironment, openSim } from '../../../probes/support.ts'

const fileBytes = 1 << 20

/** Files of the commit log after so many records of 8 KB, as far apart as told, into a file of 1 MB. */
async function filesAfter(records: number, apartMs: number): Promise<number> {
  const environment = newEnvironment(7)
  return await environment.drive(async () => {
    const db = await openSim(environment, { commitLogFileBytes: fileBytes, commitLogFileBytesFirst: fileBytes, frameBytesMax: 64 * 1024 })
    await db.define([{ name: 'a', kind: 'topic' }])
    const value = bytesOf('x'.repeat(8 * 1024))
    for (let i = 0; i < records; i++) {
      const appended = db.log('a').appendRecords([{ value }])
      if (apartMs === 0) continue
      await appended.durable
      await new Promise<void>(resolve => void environment.timers.after(apartMs, resolve))
    }
    // Whatever is prepared in the background is done by then.
    await new Promise<void>(resolve => void environment.timers.after(1000, resolve))
    const names = await environment.files.list('/data/db')
    await db.close()
    return names.filter(name => name.startsWith('commit-')).length
  })
}

test('at a slow pace from half on', async () => {
  expect(await filesAfter(40, 100)).toBe(1)
  expect(await filesAfter(80, 100)).toBe(2)
})

test('at a pace that would fill the rest before the next file is ready, from an eighth on', async () => {
  expect(await filesAfter(10, 0)).toBe(1)
  expect(await filesAfter(20, 0)).toBe(2)
})

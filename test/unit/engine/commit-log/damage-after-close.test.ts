/**
 * An old bug: after a clean close the next opening may write into a new file and leave the closing frame where it is. When the first frame of the new file
 * was damaged later, recovery took the closing frame for the end of the log, opened, and deleted the acknowledged frames behind the damage.
 */
import { expect, test } from 'vitest'
import { newEnvironment, openSim } from '../../../probes/support.ts'

test('frames behind a damaged one are proof of damage, also when a closing frame stands before them', async () => {
  const environment = newEnvironment(61)
  await environment.drive(async () => {
    const db = await openSim(environment, { commitLogFileBytes: 16 * 1024, commitLogFileBytesFirst: 4 * 1024, closeTailBytesMax: 1 << 20 })
    await db.define([{ name: 'a', kind: 'topic' }])
    await db.close()
    // The first file must stay: no flush gets through.
    environment.disk.addFault({ kinds: ['create'], path: /segment-/, code: 'ENOSPC', times: 1000 })
    const again = await openSim(environment, {
      commitLogFileBytes: 16 * 1024,
      commitLogFileBytesFirst: 16 * 1024,
      closeTailBytesMax: 1 << 20,
    })
    // Too large for what is left of the first file.
    for (let i = 0; i < 3; i++) await again.log('a').appendRecords([{ value: new Uint8Array(3900).fill(i) }]).durable
  })
  environment.disk.processKill()
  const looking = newEnvironment(63, environment.disk)
  const names = await looking.drive(looking.files.list('/data/db'))
  const second = names.filter(name => name.startsWith('commit-'))[1] as string
  expect(names.filter(name => name.startsWith('commit-')).length).toBeGreaterThan(1)
  environment.disk.flipBit(`/data/db/${second}`, 100, 3)
  const after = newEnvironment(62, environment.disk)
  await after.drive(async () => {
    await expect(openSim(after)).rejects.toMatchObject({ code: 'CORRUPT' })
    expect((await after.files.list('/data/db')).filter(name => name.startsWith('commit-'))).toEqual(
      names.filter(name => name.startsWith('commit-')),
    )
  })
})

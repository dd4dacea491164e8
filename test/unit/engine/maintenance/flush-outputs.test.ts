/** Goal: what a flush makes is few files: partitions that grow together share one, a log that fills a file by itself has its own, and so has a store's log much earlier (and what the system logs is one more). */
import { expect, test } from 'vitest'
import { bytesOf, newEnvironment, openSim } from '../../../probes/support.ts'

const ownSegmentBytes = 1024

/** Segments that one flush makes of logs of this kind, each with so many bytes. */
async function segmentsOf(kind: 'topic' | 'store', logs: number, bytes: number): Promise<number> {
  const environment = newEnvironment(8)
  return await environment.drive(async () => {
    const size = 1 << 20
    const db = await openSim(environment, {
      ownSegmentBytes,
      autoConsolidate: false,
      commitLogFileBytes: size,
      commitLogFileBytesFirst: size,
      frameBytesMax: size,
    })
    const names = Array.from({ length: logs }, (_, i) => `l${i}`)
    await db.define(names.map(name => ({ name, kind })))
    const value = bytesOf('x'.repeat(bytes))
    await db.commit(commit => {
      for (const name of names) {
        if (kind === 'topic') commit.appendRecords(db.log(name), [{ value }])
        else commit.appendRecords(db.log(name), [{ kind: 'put', key: bytesOf('k'), value }])
      }
    }).durable
    await db.seal()
    const found = (await environment.files.list('/data/db')).filter(name => name.startsWith('segment-')).length
    for (const name of names) if (kind === 'topic') expect(db.log(name).read(0).positions.length).toBe(1)
    await db.close()
    return found
  })
}

test.each([
  ['topic', ownSegmentBytes * 8, 1],
  ['topic', ownSegmentBytes * 16, 9],
  ['store', ownSegmentBytes * 2, 9],
  ['store', ownSegmentBytes / 2, 1],
] as const)('eight logs of kind %s with %i bytes each become %i segments', async (kind, bytes, segments) => {
  expect(await segmentsOf(kind, 8, bytes)).toBe(segments)
})

test('an old bug: sealing ended only when writers paused, since the flusher always found another full file; it waits for what was there', async () => {
  const environment = newEnvironment(9)
  await environment.drive(async () => {
    const db = await openSim(environment, { commitLogFileBytes: 16 * 1024, autoConsolidate: false })
    await db.define([{ name: 'a', kind: 'topic' }])
    const log = db.log('a')
    const value = new Uint8Array(3000)
    await log.appendRecords([{ value }]).durable
    let isSealed = false
    const sealed = db.seal().then(() => {
      isSealed = true
    })
    let batches = 0
    const append = async (): Promise<void> => {
      while (!isSealed && batches < 2000) {
        batches++
        await log.appendRecords([{ value }]).durable
      }
    }
    await Promise.all([append(), append(), append(), append()])
    expect(isSealed).toBe(true)
    expect(batches).toBeLessThan(2000)
    await sealed
    await db.close()
  })
})

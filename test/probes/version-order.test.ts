/** Probe: in a versioned store log a late write with an older hybrid-clock version loses in the merge, although its sequence is newer. */
import { expect, test } from 'vitest'
import { PART_RUN } from '../../engine/segment/format.ts'
import { RunCursor } from '../../engine/segment/run-reader.ts'
import { internals } from '../support/internals.ts'
import { bytesOf, newEnvironment, openSim, textOf } from './support.ts'

test('the newest version wins, whatever the order of arrival', async () => {
  const environment = newEnvironment(41)
  await environment.drive(async () => {
    const db = await openSim(environment, { autoConsolidate: false })
    await db.define([{ name: 'quorum', kind: 'store', versioned: true }])
    const log = db.log('quorum')
    const put = (key: string, value: string, ms: number, counter = 0, node = 1) =>
      log.appendRecords([{ kind: 'put', key: bytesOf(key), value: bytesOf(value), version: { ms, counter, node } }])
    put('a', 'new', 2000)
    put('b', 'first', 1000)
    await put('c', 'by counter', 1000, 5).durable
    await db.seal()
    put('a', 'late and old', 1000)
    put('b', 'second', 3000)
    put('c', 'smaller counter', 1000, 4)
    await log.appendRecords([{ kind: 'delete', key: bytesOf('d'), version: { ms: 10, counter: 0, node: 1 } }]).durable
    await db.seal()
    put('d', 'older than the delete', 5)
    await put('e', 'tie goes to the larger node', 7, 0, 2).durable
    await put('e', 'smaller node', 7, 0, 1).durable
    await db.seal()
    await db.compactLog('quorum')
    const runs = internals(log).parts.filter(part => part.type === PART_RUN)
    expect(runs.length).toBe(1)
    const run = runs[0] as (typeof runs)[0]
    const cursor = new RunCursor(run.reader, run.part)
    const found: Record<string, string | undefined> = {}
    while (cursor.next()) {
      const { buffer, keyStart, keyBytes, valueStart, valueBytes, kind } = cursor.record
      const key = textOf(buffer.subarray(keyStart, keyStart + keyBytes)) as string
      expect(found).not.toHaveProperty(key)
      found[key] = kind === 0 ? textOf(buffer.subarray(valueStart, valueStart + valueBytes)) : 'deleted'
    }
    expect(found).toEqual({ a: 'new', b: 'second', c: 'by counter', d: 'deleted', e: 'tie goes to the larger node' })
    await db.close()
  })
})

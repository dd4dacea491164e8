/**
 * Goal: `verify` sees every harm, says which file and where, changes nothing, and does not cry for what is only a leftover.
 */
import fs from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { packRow } from '../../../../engine/catalog/rows.ts'
import { verify } from '../../../../engine/index.ts'
import { commitFilesOf, environment, flip, makeDatabase, openSmall, photograph, segmentsOf, temporaryFolder } from './databases.ts'

async function changeRow(path: string, key: string, value: unknown): Promise<void> {
  const view = await environment.catalogs.open(join(path, 'catalog'))
  const bytes = value === undefined ? undefined : value instanceof Uint8Array ? value : packRow(value)
  const name = new TextEncoder().encode(key)
  view.change(bytes === undefined ? { puts: [], deletes: [name] } : { puts: [{ key: name, value: bytes }], deletes: [] })
  await view.close()
}

test('a sound database: counts, no findings, no change, progress to the last byte', async () => {
  const path = await makeDatabase()
  const before = photograph(path)
  const seen: number[] = []
  const report = await verify(path, { onProgress: ({ done, total }) => seen.push(done / total) })
  expect(report).toMatchObject({ ok: true, segments: 3, logs: 3, findings: [] })
  expect(report.records).toBeGreaterThan(200)
  expect(report.frames).toBeGreaterThan(5)
  expect(seen.at(-1)).toBe(1)
  expect([...seen].sort((a, b) => a - b)).toEqual(seen)
  expect(photograph(path)).toEqual(before)
})

test('every flipped byte of a segment is found in that segment', async () => {
  const path = await makeDatabase(1)
  const segment = segmentsOf(path)[0] as string
  const { size } = fs.statSync(segment)
  for (let position = 0; position < size; position += 61) {
    flip(segment, position)
    const { ok, findings } = await verify(path)
    expect(ok, `byte ${position}`).toBe(false)
    expect(findings[0]?.file, `byte ${position}`).toBe(segment)
    expect(findings[0]?.position, `byte ${position}`).toBeTypeOf('number')
    flip(segment, position)
  }
  expect((await verify(path)).ok).toBe(true)
})

test.each<readonly [string, unknown, string]>([
  ['segment/0000000001', undefined, 'log orders (1): offsets 0 to 19 are in no segment'],
  ['meta/0000000001/slot', new Uint8Array(1), 'row meta/0000000001/slot of the catalog is not in the system log'],
  ['log/0000000001', { name: 'forged', kind: 'topic' }, 'row log/0000000001 of the catalog differs from the system log'],
  ['log/0000000009', { name: 'orders', kind: 'topic' }, 'logs 1 and 9 have the same name orders'],
  ['log/0000000001', { name: 'orders', kind: 'queue' }, 'row log/0000000001 has an impossible kind'],
  ['log/0000000001', Uint8Array.of(0xda, 0xff), 'row log/0000000001 cannot be decoded'],
  ['segment/0000000001', { bytes: 1, footer: new Uint8Array(8), parts: 5, dropped: [] }, 'segment has another size than the catalog says'],
  ['segment/0000000001', { bytes: 1, footer: new Uint8Array(8), parts: 5, dropped: [7] }, 'impossible list of dropped parts'],
  ['flush', { lsn: 1, checksum: new Uint8Array(3), sequence: 1 }, 'row flush has an impossible checksum'],
  ['future/1', { any: 'thing' }, 'row "future/1" is not known to this version'],
])('a forged row %s %j', async (key, value, message) => {
  const path = await makeDatabase()
  await changeRow(path, key, value)
  const { findings } = await verify(path)
  expect(findings.filter(({ severity }) => severity === 'error').map(finding => finding.message)).toEqual(
    expect.arrayContaining([expect.stringContaining(message)]),
  )
})

test('a segment of another database, and one under the wrong name', async () => {
  const path = await makeDatabase(1)
  const other = await openSmall(join(temporaryFolder(), 'other'))
  await other.define([{ name: 'orders', kind: 'topic' }])
  await other.log('orders').appendRecords([{ value: 'x' }]).durable
  await other.seal()
  await other.close()
  fs.copyFileSync(segmentsOf(other.path)[0] as string, segmentsOf(path)[0] as string)
  const { ok, findings } = await verify(path)
  expect(ok).toBe(false)
  expect(findings[0]?.file).toBe(segmentsOf(path)[0])
})

test('leftovers and foreign files are information', async () => {
  const path = await makeDatabase()
  fs.copyFileSync(segmentsOf(path)[0] as string, join(path, 'segment-0000000077.seg'))
  fs.writeFileSync(join(path, 'commit-0000000099.log.tmp'), 'half')
  fs.writeFileSync(join(path, 'staged-0000000001.log'), 'half')
  fs.writeFileSync(join(path, 'notes.txt'), 'mine')
  const { ok, findings } = await verify(path)
  expect(ok).toBe(true)
  expect(findings.map(({ severity, file }) => [severity, basename(file)])).toEqual([
    ['info', 'segment-0000000077.seg'],
    ['info', 'staged-0000000001.log'],
    ['info', 'commit-0000000099.log.tmp'],
    ['info', 'notes.txt'],
  ])
})

test('frames: a flip anywhere in what counts is found in that file, a flip behind it is not', async () => {
  const path = await makeDatabase()
  const file = commitFilesOf(path).at(-1) as string
  for (const position of [3, 40, 90, 700, 1300, 2100]) {
    flip(file, position)
    const { ok, findings } = await verify(path)
    expect(ok, `byte ${position}`).toBe(false)
    expect(findings[0], `byte ${position}`).toMatchObject({ file, position: Math.floor(position / 512) * 512 })
    flip(file, position)
  }
  flip(file, fs.statSync(file).size - 100)
  expect((await verify(path)).ok).toBe(true)
})

test('refuses what is in use, what is no database, and stops when it is told to', async () => {
  const path = await makeDatabase()
  const database = await openSmall(path)
  await expect(verify(path)).rejects.toMatchObject({ code: 'LOCKED' })
  await database.close()
  await expect(verify(join(path, 'nothing'))).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
  await expect(verify(temporaryFolder())).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
  await expect(verify(segmentsOf(path)[0] as string)).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
  await expect(verify('')).rejects.toBeInstanceOf(TypeError)
  await expect(verify(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' })
  expect((await verify(`${path}/`)).ok).toBe(true)
})

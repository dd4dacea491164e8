/**
 * Goal: what a crashed flush or merge leaves behind is judged as opening and the design judge it: leftovers of an edit that never came count for
 * nothing while the system log can be read; when it cannot, footers decide: a complete edit counts and replaces, an incomplete one is void.
 */
import fs from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type DumpItem, dump, repair, verify } from '../../../../engine/index.ts'
import { type MergeGroup, merge } from '../../../../engine/maintenance/merge-task.ts'
import { SegmentReader } from '../../../../engine/segment/reader.ts'
import { commitFilesOf, environment, flip, makeDatabase, openSmall, segmentsOf, valuesOf } from './databases.ts'

const orders = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `order number ${from + i}`)

/** Merges all segments as the engine would, and dies before the edit: its outputs lie there, and nothing names them. */
async function crashedMerge(path: string, ownSegmentBytes: number): Promise<string[]> {
  const sources = segmentsOf(path).map(segment => SegmentReader.open(environment.files, segment))
  const groups = new Map<string, MergeGroup>()
  for (const reader of sources) {
    const { directory } = reader
    for (let part = 0; part < directory.partCount; part++) {
      const logId = directory.logId(part)
      const type = directory.type(part)
      const before = groups.get(`${logId}/${type}`)
      const name = reader.names.find(entry => entry.logId === logId)
      groups.set(`${logId}/${type}`, {
        logId,
        name: name?.name ?? '',
        kind: name?.kind ?? 1,
        type,
        versioned: false,
        firstOffset: before?.firstOffset ?? directory.firstOffset(part),
        endOffset: directory.endOffset(part),
        parts: [...(before?.parts ?? []), { segmentId: reader.segmentId, part }],
        startOffset: 0,
        bytes: (before?.bytes ?? 0) + directory.byteCount(part),
      })
    }
  }
  const segmentIds = Array.from({ length: 12 }, (_, i) => 50 + i)
  const paths = segmentIds.map(id => join(path, `segment-${String(id).padStart(10, '0')}.seg`))
  const last = sources.at(-1) as SegmentReader
  await merge(
    {
      folder: path,
      databaseId: databaseIdOf(segmentsOf(path)[0] as string),
      editId: last.editId + 1,
      segmentIds,
      paths,
      sources: sources.map(reader => ({ id: reader.segmentId, path: reader.path })),
      groups: [...groups.values()],
      ownSegmentBytes,
      seed: 1,
    },
    { files: environment.files, catalogs: environment.catalogs, clock: environment.clock, report: () => undefined },
  )
  for (const reader of sources) reader.close()
  return paths.filter(file => fs.existsSync(file))
}

function databaseIdOf(segment: string): Uint8Array {
  return new Uint8Array(fs.readFileSync(segment).subarray(24, 32))
}

/** Damages every part of the system log in the database's own segments and takes the catalog away. */
async function loseEdits(path: string, segments: readonly string[]): Promise<void> {
  for (const segment of segments) {
    for await (const item of dump(segment)) if (isSystemPart(item)) flip(segment, (item.position as number) + 100)
  }
  fs.rmSync(join(path, 'catalog'), { recursive: true })
}

const isSystemPart = ({ type, log }: DumpItem): boolean => type === 'part' && log === 0

async function expectWhole(path: string): Promise<void> {
  const after = await verify(path)
  expect(after.findings.filter(({ severity }) => severity === 'error')).toEqual([])
  expect(await repair(path)).toMatchObject({ changed: false })
  const database = await openSmall(path)
  expect(valuesOf(database, 'orders')).toEqual(orders(0, 70))
  expect(valuesOf(database, 'prices')).toHaveLength(70)
  expect(database.log('users').endOffset).toBe(70)
  await database.close()
}

describe('leftovers of a merge whose edit never came', () => {
  test('are information, and opening sweeps them', async () => {
    const path = await makeDatabase()
    const outputs = await crashedMerge(path, 1 << 20)
    const { ok, findings } = await verify(path)
    expect(ok).toBe(true)
    expect(findings.map(({ severity, file }) => [severity, file])).toEqual(outputs.map(file => ['info', file]))
    expect(await repair(path)).toMatchObject({ changed: false })
    await expectWhole(path)
    expect(outputs.some(file => fs.existsSync(file))).toBe(false)
  })

  test('do not enter a catalog that is rebuilt from the system log', async () => {
    const path = await makeDatabase()
    const outputs = await crashedMerge(path, 1 << 20)
    fs.rmSync(join(path, 'catalog'), { recursive: true })
    expect(await repair(path)).toMatchObject({ catalog: 'system log', losses: [] })
    await expectWhole(path)
    expect(outputs.some(file => fs.existsSync(file))).toBe(false)
  })
})

describe('footers', () => {
  test('a complete edit counts, and what it replaced is out', async () => {
    const path = await makeDatabase()
    const sources = segmentsOf(path)
    const outputs = await crashedMerge(path, 1 << 20)
    await loseEdits(path, [...sources, ...outputs])
    const report = await repair(path)
    expect(report.catalog).toBe('footers')
    expect(report.losses.filter(({ kind }) => kind === 'offsets')).toEqual([])
    await expectWhole(path)
    expect(outputs.every(file => fs.existsSync(file))).toBe(true)
    expect(sources.some(file => fs.existsSync(file))).toBe(false)
  })

  test('an incomplete edit is void, and its sources stay', async () => {
    const path = await makeDatabase()
    const sources = segmentsOf(path)
    const outputs = await crashedMerge(path, 1)
    expect(outputs.length).toBeGreaterThan(2)
    fs.rmSync(outputs[1] as string)
    await loseEdits(path, [...sources, ...outputs.filter(file => fs.existsSync(file))])
    const report = await repair(path)
    expect(report.catalog).toBe('footers')
    expect(report.notes.join()).toContain('is incomplete and void')
    await expectWhole(path)
    expect(segmentsOf(path).slice(0, 3)).toEqual(sources)
    expect(fs.readdirSync(report.damagedFolder as string)).toContain(basename(outputs[0] as string))
  })

  test('a flush whose edit is lost with the commit log and the catalog', async () => {
    const path = await makeDatabase()
    fs.rmSync(commitFilesOf(path).at(-1) as string)
    fs.rmSync(join(path, 'catalog'), { recursive: true })
    const report = await repair(path)
    expect(report.catalog).toBe('footers')
    const database = await openSmall(path)
    expect(valuesOf(database, 'orders')).toEqual(orders(0, 60))
    await database.close()
    expect((await verify(path)).ok).toBe(true)
  })
})

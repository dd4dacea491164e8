/**
 * Goal: whatever one file of a database suffers, `verify` names the file, `dump` survives it, `repair` brings back all that can be had and names
 * the rest, and afterwards the database opens, `verify` finds no error, and a second repair changes nothing.
 */
import fs from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { dump, isVarveError, type RepairReport, repair, verify } from '../../../../engine/index.ts'
import { commitFilesOf, flip, makeDatabase, openSmall, photograph, segmentsOf, valuesOf } from './databases.ts'

const orders = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `order number ${from + i}`)

/** Where a kind of item begins in a file. */
async function positionsOf(file: string, wanted: { readonly [field: string]: unknown }): Promise<number[]> {
  const found: number[] = []
  for await (const item of dump(file)) {
    if (Object.entries(wanted).every(([field, value]) => item[field] === value)) found.push(item.position ?? 0)
  }
  return found
}

async function errorsOf(path: string): Promise<string[]> {
  const { findings } = await verify(path)
  return findings
    .filter(({ severity }) => severity === 'error')
    .map(({ file, position, message }) => `${basename(file)}:${position ?? ''} ${message}`)
}

/** Repairs and checks all that must hold after any repair. */
async function repaired(path: string): Promise<RepairReport> {
  const before = photograph(path)
  const dry = await repair(path, { dryRun: true })
  expect(photograph(path), 'a dry run changes nothing').toEqual(before)
  const report = await repair(path)
  expect({ ...report, dryRun: true, damagedFolder: undefined }).toEqual({ ...dry, damagedFolder: undefined })
  expect(await errorsOf(path)).toEqual([])
  const after = photograph(path)
  const again = await repair(path)
  expect(again).toMatchObject({ changed: false, losses: [], actions: [] })
  expect(photograph(path), 'a second repair changes nothing').toEqual(after)
  return report
}

async function ordersIn(path: string): Promise<string[]> {
  const database = await openSmall(path)
  try {
    return valuesOf(database, 'orders')
  } finally {
    await database.close()
  }
}

describe('repair', () => {
  test('leaves a sound database alone', async () => {
    const path = await makeDatabase()
    const before = photograph(path)
    expect(await errorsOf(path)).toEqual([])
    expect(await repair(path)).toMatchObject({ changed: false, catalog: 'sound', losses: [] })
    expect(photograph(path)).toEqual(before)
    expect(await ordersIn(path)).toEqual(orders(0, 70))
  })

  test('rebuilds a catalog whose folder is gone', async () => {
    const path = await makeDatabase()
    fs.rmSync(join(path, 'catalog'), { recursive: true })
    expect((await errorsOf(path))[0]).toContain('data.mdb: the catalog is missing')
    await expect(openSmall(path)).rejects.toSatisfy(error => isVarveError(error, 'CORRUPT'))
    const report = await repaired(path)
    expect(report).toMatchObject({ changed: true, catalog: 'system log', losses: [] })
    expect(await ordersIn(path)).toEqual(orders(0, 70))
    const database = await openSmall(path)
    expect(database.list().map(({ name, kind, cleanup, body }) => ({ name, kind, cleanup, body }))).toEqual([
      { name: 'orders', kind: 'topic', cleanup: undefined, body: undefined },
      { name: 'prices', kind: 'topic', cleanup: 'compact', body: undefined },
      { name: 'users', kind: 'store', cleanup: undefined, body: true },
    ])
    expect(database.log('users').endOffset).toBe(70)
    await database.close()
  })

  test('rebuilds a damaged catalog, and keeps the damaged one', async () => {
    const path = await makeDatabase()
    const data = join(path, 'catalog', 'data.mdb')
    fs.writeFileSync(data, Buffer.alloc(fs.statSync(data).size, 0xa5))
    expect((await errorsOf(path))[0]).toContain('data.mdb')
    const report = await repaired(path)
    expect(report).toMatchObject({ changed: true, catalog: 'system log', losses: [] })
    expect(fs.readdirSync(report.damagedFolder as string)).toContain('catalog-data.mdb')
    expect(await ordersIn(path)).toEqual(orders(0, 70))
  })

  test('takes a catalog of another time for none', async () => {
    const path = await makeDatabase(1)
    const old = fs.readFileSync(join(path, 'catalog', 'data.mdb'))
    const database = await openSmall(path)
    for (let i = 0; i < 3; i++) {
      await database.log('orders').appendRecords([{ value: `order number ${30 + i}` }]).durable
      await database.seal()
    }
    await database.consolidate()
    await database.close()
    fs.writeFileSync(join(path, 'catalog', 'data.mdb'), old)
    expect(await errorsOf(path)).not.toEqual([])
    const report = await repaired(path)
    expect(report.losses).toEqual([])
    expect(await ordersIn(path)).toEqual(orders(0, 33))
  })

  test('drops a damaged part, keeps the others of its segment, and names what is lost', async () => {
    const path = await makeDatabase()
    const segment = segmentsOf(path)[1] as string
    const [body] = await positionsOf(segment, { type: 'part', name: 'orders' })
    flip(segment, (body as number) + 300)
    expect(await errorsOf(path)).toEqual([`${basename(segment)}:${body} checksum of block 0 of part 1 differs`])
    const report = await repaired(path)
    expect(report.losses).toMatchObject([{ kind: 'part', log: 'orders', from: 20, to: 40, file: segment, position: body }])
    expect(await ordersIn(path)).toEqual([...orders(0, 20), ...orders(40, 70)])
    const database = await openSmall(path)
    expect(valuesOf(database, 'prices')).toHaveLength(70)
    // The hole is a gap that reads go over; the end is where it was.
    expect(database.log('orders').read(25).nextOffset).toBe(60)
    await database.log('orders').appendRecords([{ value: 'next' }]).durable
    await database.close()
    const { findings, ok } = await verify(path)
    expect(ok).toBe(true)
    expect(findings.map(({ severity, message }) => `${severity}: ${message}`)).toContain(
      'warning: log orders (1): offsets 20 to 39 were lost before; repair wrote it down',
    )
  })

  test('keeps the end of a log whose last part is lost', async () => {
    const path = await makeDatabase()
    const segment = segmentsOf(path).at(-1) as string
    const [body] = await positionsOf(segment, { type: 'part', name: 'orders' })
    flip(segment, (body as number) + 300)
    const report = await repaired(path)
    expect(report.losses).toMatchObject([{ kind: 'part', log: 'orders', from: 40, to: 60 }])
    expect(await ordersIn(path)).toEqual([...orders(0, 40), ...orders(60, 70)])
  })

  test('goes on without a segment that is gone', async () => {
    const path = await makeDatabase()
    const segment = segmentsOf(path)[0] as string
    fs.rmSync(segment)
    expect((await errorsOf(path))[0]).toContain(`${basename(segment)}: segment 1, which the catalog names, is missing`)
    const report = await repaired(path)
    // The definitions were edits in that segment; the view still knew them.
    expect(report.catalog).toBe('view')
    expect(report.losses[0]).toMatchObject({ kind: 'segment', file: segment })
    expect(report.losses.filter(({ kind }) => kind === 'offsets').map(({ log, from, to }) => [log, from, to])).toEqual([
      ['$system', 0, 6],
      ['orders', 0, 20],
      ['prices', 0, 20],
      ['users', 0, 20],
    ])
    expect(await ordersIn(path)).toEqual(orders(20, 70))
  })

  test('moves a segment aside whose footer is damaged', async () => {
    const path = await makeDatabase()
    const segment = segmentsOf(path)[1] as string
    flip(segment, fs.statSync(segment).size - 20)
    expect((await errorsOf(path))[0]).toContain(basename(segment))
    const report = await repaired(path)
    expect(report.losses[0]).toMatchObject({ kind: 'segment', file: segment })
    expect(fs.existsSync(segment)).toBe(false)
    expect(fs.readdirSync(report.damagedFolder as string).sort()).toEqual(['report.json', basename(segment)])
    expect(await ordersIn(path)).toEqual([...orders(0, 20), ...orders(40, 70)])
  })

  test('writes a damaged header anew and loses nothing', async () => {
    const path = await makeDatabase()
    const segment = segmentsOf(path)[1] as string
    flip(segment, 20)
    expect((await errorsOf(path))[0]).toContain(`${basename(segment)}:0`)
    const report = await repaired(path)
    expect(report.losses).toEqual([])
    expect(await ordersIn(path)).toEqual(orders(0, 70))
  })

  test('damage in the newest part of the system log: the view knew its edits', async () => {
    const path = await makeDatabase()
    const segment = segmentsOf(path).at(-1) as string
    const [body] = await positionsOf(segment, { type: 'part', name: '$system' })
    flip(segment, (body as number) + 100)
    const report = await repaired(path)
    expect(report.catalog).toBe('view')
    expect(report.losses.map(({ kind, log }) => [kind, log])).toEqual([
      ['part', '$system'],
      ['edits', '$system'],
    ])
    expect(await ordersIn(path)).toEqual(orders(0, 70))
  })

  test('damage in the newest part of the system log, and no view: footers', async () => {
    const path = await makeDatabase()
    const segment = segmentsOf(path).at(-1) as string
    const [body] = await positionsOf(segment, { type: 'part', name: '$system' })
    flip(segment, (body as number) + 100)
    fs.rmSync(join(path, 'catalog'), { recursive: true })
    const report = await repaired(path)
    expect(report.catalog).toBe('footers')
    expect(report.losses.filter(({ kind }) => kind === 'offsets')).toEqual([])
    expect(await ordersIn(path)).toEqual(orders(0, 70))
  })

  test('no edit readable and no view: definitions from footers, with their options lost', async () => {
    const path = await makeDatabase()
    for (const segment of segmentsOf(path)) {
      const [body] = await positionsOf(segment, { type: 'part', name: '$system' })
      flip(segment, (body as number) + 100)
    }
    fs.rmSync(join(path, 'catalog'), { recursive: true })
    const report = await repaired(path)
    expect(report.catalog).toBe('footers')
    expect(report.losses.filter(({ kind }) => kind === 'definition').map(({ log }) => log)).toEqual(['orders', 'prices', 'users'])
    expect(await ordersIn(path)).toEqual(orders(0, 70))
    const database = await openSmall(path)
    expect(database.get('users')).toMatchObject({ kind: 'store', body: true })
    await database.define([{ name: 'more', kind: 'topic' }])
    await database.close()
  })
})

describe('repair of the commit log', () => {
  test('a torn tail is no damage', async () => {
    const path = await makeDatabase()
    const file = commitFilesOf(path).at(-1) as string
    const frames = await positionsOf(file, { type: 'frame' })
    // The closing frame, and the last frame before it. (Behind it a recycled file shows frames of its past.)
    const [closing] = await positionsOf(file, { type: 'frame', closing: true })
    flip(file, (closing as number) + 20)
    flip(file, (frames[frames.indexOf(closing as number) - 1] as number) + 90)
    expect(await errorsOf(path)).toEqual([])
    expect(await repair(path)).toMatchObject({ changed: false })
    expect(await ordersIn(path)).toEqual(orders(0, 69))
  })

  test('keeps what lies before the damage and names what lies behind it', async () => {
    const path = await makeDatabase()
    const file = commitFilesOf(path).at(-1) as string
    const frames = await positionsOf(file, { type: 'frame' })
    const broken = frames[5] as number
    flip(file, broken + 90)
    expect(await errorsOf(path)).toEqual([
      `${basename(file)}:${broken} the commit log is damaged: the frame at byte ${frames[6]} of ${file} proves that the bytes here were on the disk`,
    ])
    const report = await repaired(path)
    expect(report.catalog).toBe('sound')
    expect(report.losses[0]).toMatchObject({ kind: 'commit-log', file, position: broken })
    expect(report.losses.filter(({ kind }) => kind === 'offsets').map(({ log, from, to }) => [log, from, to])).toEqual([
      ['orders', 64, 70],
      ['prices', 64, 70],
      ['users', 64, 70],
    ])
    expect(await ordersIn(path)).toEqual(orders(0, 64))
    expect(fs.readdirSync(report.damagedFolder as string)).toContain(basename(file))
  })

  test('the first frame: everything behind the flush point is lost', async () => {
    const path = await makeDatabase()
    const file = commitFilesOf(path).at(-1) as string
    flip(file, 90)
    const report = await repaired(path)
    expect(report.losses.some(({ log, from, to }) => log === 'orders' && from === 60 && to === 70)).toBe(true)
    expect(await ordersIn(path)).toEqual(orders(0, 60))
  })

  test('the first frame and the view: the last flush is known from its footer', async () => {
    const path = await makeDatabase()
    flip(commitFilesOf(path).at(-1) as string, 90)
    fs.rmSync(join(path, 'catalog'), { recursive: true })
    const report = await repaired(path)
    expect(report.catalog).toBe('footers')
    expect(await ordersIn(path)).toEqual(orders(0, 60))
  })

  test('a file of it that is gone', async () => {
    const path = await makeDatabase()
    fs.rmSync(commitFilesOf(path).at(-1) as string)
    // Nothing in the commit log tells; the view, which knows edits that were in it, does.
    expect((await errorsOf(path))[0]).toContain('the catalog knows edits up to 15, the system log ends at 12')
    expect((await repaired(path)).losses).toMatchObject([{ kind: 'edits' }])
    expect(await ordersIn(path)).toEqual(orders(0, 60))
  })

  test('a file of it that is cut off', async () => {
    const path = await makeDatabase()
    const file = commitFilesOf(path).at(-1) as string
    const frames = await positionsOf(file, { type: 'frame' })
    fs.truncateSync(file, (frames[4] as number) + 10)
    await repaired(path)
    expect(await ordersIn(path)).toEqual(orders(0, 63))
  })

  test('a staged commit whose file is damaged or gone', async () => {
    for (const harm of ['flip', 'remove'] as const) {
      const path = await makeDatabase()
      const database = await openSmall(path, { frameBytesMax: 4096 })
      const value = 'x'.repeat(9000)
      await database.log('orders').appendRecords([{ value }]).durable
      await database.log('orders').appendRecords([{ value: 'after' }]).durable
      await database.close()
      const staged = fs.readdirSync(path).filter(name => name.startsWith('staged-'))
      expect(staged).toHaveLength(1)
      const file = join(path, staged[0] as string)
      if (harm === 'flip') flip(file, 4000)
      else fs.rmSync(file)
      expect((await errorsOf(path))[0]).toContain(staged[0])
      const report = await repaired(path)
      expect(report.losses[0]).toMatchObject({ kind: 'commit-log', file })
      expect(await ordersIn(path)).toEqual(orders(0, 70))
    }
  })
})

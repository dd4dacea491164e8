/** Goal: `dump` shows every kind of file down to the record, keeps its promises about limits, and survives every damage. */
import fs from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type DumpItem, type DumpOptions, dump } from '../../../../engine/index.ts'
import { commitFilesOf, flip, makeDatabase, openSmall, segmentsOf, temporaryFolder } from './databases.ts'

async function all(file: string, options: DumpOptions = {}): Promise<DumpItem[]> {
  const items: DumpItem[] = []
  for await (const item of dump(file, options)) items.push(item)
  return items
}

const typesOf = (items: readonly DumpItem[]): string[] => [...new Set(items.map(({ type }) => type))]

test('a segment: header, footer, parts, tables, blocks, batches, records', async () => {
  const path = await makeDatabase()
  const items = await all(segmentsOf(path)[1] as string)
  expect(typesOf(items)).toEqual(['file', 'header', 'footer', 'part', 'tables', 'block', 'batch', 'record'])
  expect(items.find(({ type }) => type === 'footer')).toMatchObject({
    names: expect.arrayContaining([{ log: 3, kind: 'store', name: 'users' }]),
  })
  const records = items.filter(({ type }) => type === 'record')
  expect(records).toContainEqual(expect.objectContaining({ offset: 25, key: 'order-25', value: 'order number 25' }))
  expect(records).toContainEqual(expect.objectContaining({ kind: 'put', key: 'user-000025', value: 'name 25' }))
  // Rows of the catalog are decoded.
  expect(records).toContainEqual(expect.objectContaining({ key: 'ids', value: { log: 4, edit: 2 } }))
  expect(() => JSON.stringify(items)).not.toThrow()
})

test('a commit-log file: frames, entries, batches, records, and what was never written', async () => {
  const path = await makeDatabase()
  const items = await all(commitFilesOf(path).at(-1) as string)
  expect(typesOf(items)).toEqual(['file', 'frame', 'entry', 'batch', 'record', 'unused'])
  // Behind the closing frame a recycled file may show frames of its past.
  expect(items.filter(({ type, closing }) => type === 'frame' && closing === true)).toMatchObject([{ entries: 0 }])
})

test('staged and spare files', async () => {
  const path = await makeDatabase()
  const database = await openSmall(path, { frameBytesMax: 4096 })
  await database.log('orders').appendRecords([{ key: 'big', value: 'x'.repeat(6000) }]).durable
  await database.close()
  const staged = fs.readdirSync(path).find(name => name.startsWith('staged-')) as string
  const items = await all(join(path, staged), { values: false })
  expect(items[1]).toMatchObject({ type: 'frame', staged: true })
  expect(items.at(-1)).toMatchObject({ type: 'record', key: 'big', valueBytes: 6000 })
  const spare = fs.readdirSync(path).find(name => name.startsWith('spare-'))
  if (spare !== undefined) expect((await all(join(path, spare)))[0]).toMatchObject({ kind: 'spare' })
})

test('the catalog: by its folder, its file, or the database', async () => {
  const path = await makeDatabase()
  const items = await all(path)
  expect(items.find(({ key }) => key === 'log/0000000001')).toMatchObject({ type: 'row', value: { name: 'orders', kind: 'topic' } })
  expect(await all(join(path, 'catalog'))).toHaveLength(items.length)
  expect(await all(join(path, 'catalog', 'data.mdb'))).toHaveLength(items.length)
})

test('limit, from, position, values', async () => {
  const path = await makeDatabase()
  const segment = segmentsOf(path)[1] as string
  expect(await all(segment, { limit: 7 })).toHaveLength(7)
  expect(await all(segment, { limit: 0 })).toEqual([])
  const late = (await all(segment, { from: 38 })).filter(({ type, offset }) => type === 'record' && offset !== undefined)
  expect(late.map(({ offset }) => offset)).toEqual([38, 39, 38, 39, 38, 39])
  const behind = await all(segment, { position: 2000 })
  expect(behind.every(({ position }) => position === undefined || position >= 2000)).toBe(true)
  expect((await all(segment, { values: false })).some(item => 'value' in item)).toBe(false)
  await expect(all(segment, { limit: -1 })).rejects.toBeInstanceOf(RangeError)
  await expect(all(segment, { from: 'x' as unknown as number })).rejects.toBeInstanceOf(TypeError)
})

test('a flip in a batch hides no other batch', async () => {
  const path = await makeDatabase()
  const segment = segmentsOf(path)[1] as string
  const before = (await all(segment)).filter(({ type }) => type === 'batch')
  const target = before[7] as DumpItem
  flip(segment, (target.position as number) + 16) // its magic
  const items = await all(segment)
  expect(items.filter(({ type }) => type === 'damage').length).toBeGreaterThan(0)
  const positions = items.filter(({ type }) => type === 'batch').map(({ position }) => position)
  expect(positions).toEqual(before.filter(({ position }) => position !== target.position).map(({ position }) => position))
})

test('without a footer it still finds batches', async () => {
  const path = await makeDatabase()
  const segment = segmentsOf(path)[1] as string
  fs.truncateSync(segment, fs.statSync(segment).size - 10)
  const items = await all(segment)
  expect(items.some(({ type }) => type === 'damage')).toBe(true)
  expect(items).toContainEqual(expect.objectContaining({ type: 'record', value: 'order number 39' }))
})

test('a damaged frame: its place, and the frames behind it', async () => {
  const path = await makeDatabase()
  const file = commitFilesOf(path).at(-1) as string
  flip(file, 1024 + 100)
  const items = await all(file)
  expect(items.find(({ type }) => type === 'damage')).toMatchObject({
    position: 1024,
    message: 'a frame whose checksum differs: torn, or damaged',
  })
  expect(items.find(({ type, follows }) => type === 'frame' && follows === false)).toMatchObject({ position: 1536 })
})

test('garbage under our names, nothing at all, and files that are not ours', async () => {
  const folder = temporaryFolder()
  const noise = Uint8Array.from({ length: 5000 }, (_, i) => (i * 2654435761) >>> 13)
  for (const name of ['segment-0000000001.seg', 'commit-0000000001.log', 'staged-0000000001.log']) {
    fs.writeFileSync(join(folder, name), noise)
    expect((await all(join(folder, name))).some(({ type }) => type === 'damage')).toBe(true)
    fs.writeFileSync(join(folder, name), '')
    expect((await all(join(folder, name)))[0]).toMatchObject({ type: 'file', bytes: 0 })
  }
  fs.writeFileSync(join(folder, 'notes.txt'), 'mine')
  await expect(all(join(folder, 'notes.txt'))).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
  await expect(all(join(folder, 'absent'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(all(folder)).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
})

/** Goal: files go into a store and out of it without loss; bad rows are named with file and line; backup and restore work from the command line. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exitCodes } from '../../../cli/exit-codes.ts'
import { Importer } from '../../../cli/import/importer.ts'
import { readParquet } from '../../../cli/import/parquet.ts'
import type { Row } from '../../../cli/import/row.ts'
import { loadOptional } from '../../../cli/optional-package.ts'
import { open } from '../../../index.ts'
import { temporaryFolder } from '../engine/tools/databases.ts'
import { varve } from './run-command.ts'

async function contentOf(path: string, name: string): Promise<[unknown, unknown][]> {
  const db = await open(path, { createIfMissing: false })
  const entries = [...db.store(name).entries()]
  await db.close()
  return entries
}

function fileWith(folder: string, name: string, text: string): string {
  fs.writeFileSync(join(folder, name), text)
  return join(folder, name)
}

const mixed: [string | number | readonly (string | number)[], unknown][] = [
  [1, { name: 'one', at: new Date(5), big: 2n ** 70n }],
  ['text, with "quotes"\nand lines', ['a', null, -1.5]],
  ['äöü\u2028', Uint8Array.of(1, 2, 3)],
  [['tuple', 7], new Map([['k', 'v']])],
  [['tuple', 8], ''],
]

describe('export and import', () => {
  test('bring every kind of key and value back, as JSON lines and as CSV', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'data')
    const db = await open(path)
    await db.store('all').batch(mixed.map(([key, value]) => ({ type: 'put', key, value })))
    await db.close()
    for (const format of ['jsonl', 'csv']) {
      const out = join(folder, `all.${format}`)
      expect(await varve('export', path, 'all', '--format', format, '--out', out)).toMatchObject({
        status: 0,
        stdout: `${out}: 5 entries of all\n`,
      })
      expect(await varve('import', path, format, out, '--format', format)).toMatchObject({
        status: 0,
        stdout: `${format}: 5 entries from 1 file\n`,
      })
      expect(await contentOf(path, format)).toEqual(await contentOf(path, 'all'))
    }
    const printed = await varve('export', path, 'all', '--format', 'jsonl', '--limit', '1')
    expect(printed.stdout).toBe(
      '{"key":1,"value":{"name":"one","at":{"$date":"1970-01-01T00:00:00.005Z"},"big":{"$bigint":"1180591620717411303424"}}}\n',
    )
    const again = await varve('export', '--json', path, 'all', '--format', 'jsonl', '--out', join(folder, 'all.jsonl'))
    expect([again.status, JSON.parse(again.stderr).error.code]).toEqual([exitCodes.io, 'EXISTS'])
    const forced = await varve(
      'export',
      '--json',
      path,
      'all',
      '--format',
      'jsonl',
      '--out',
      join(folder, 'all.jsonl'),
      '--force',
      '--limit',
      '2',
    )
    expect(JSON.parse(forced.stdout)).toMatchObject({ store: 'all', exported: 2 })
    expect(fs.readFileSync(join(folder, 'all.jsonl'), 'utf8').split('\n').length).toBe(3)
    expect(await varve('export', path, 'all', '--format', 'csv', '--out', join(folder, 'no', 'such', 'folder'))).toMatchObject({
      status: exitCodes.io,
    })
    expect(fs.readdirSync(folder).sort()).toEqual(['all.csv', 'all.jsonl', 'data'])
  })

  test('take keys from fields: one, several for a tuple, nested; more rows than a batch', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'data')
    const rows = Array.from({ length: 2500 }, (_, i) => JSON.stringify({ id: i, place: { country: i % 2 ? 'DE' : 'FR', 'a.b': i } }))
    const file = fileWith(folder, 'rows.jsonl', `\ufeff${rows.join('\r\n')}\r\n\r\n`)
    const plain = await varve('import', path, 'plain', file, '--format', 'jsonl', '--key', 'id')
    expect(plain).toEqual({ status: 0, stdout: 'plain: 2500 entries from 1 file\n', stderr: '' })
    expect(
      await varve('import', path, 'tuples', file, '--format', 'jsonl', '--key', 'place.country, place.a.b', '--value', 'id'),
    ).toMatchObject({ status: 0 })
    const content = await contentOf(path, 'tuples')
    expect(content.length).toBe(2500)
    expect(content[0]).toEqual([['DE', 1], 1])
    expect((await contentOf(path, 'plain'))[7]).toEqual([7, { id: 7, place: { country: 'DE', 'a.b': 7 } }])
  })

  test('read CSV cells as text, as numbers, and write columns', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'data')
    const file = fileWith(folder, 'rows.csv', 'id,name,n\n007,"Bond, James",1\n8,Q,2.5\n')
    expect(await varve('import', path, 'text', file, '--format', 'csv', '--key', 'id')).toMatchObject({ status: 0, stderr: '' })
    expect(await contentOf(path, 'text')).toEqual([
      ['007', { id: '007', name: 'Bond, James', n: '1' }],
      ['8', { id: '8', name: 'Q', n: '2.5' }],
    ])
    await varve('import', path, 'auto', file, '--format', 'csv', '--key', 'id', '--cells', 'auto')
    expect(await contentOf(path, 'auto')).toEqual([
      [8, { id: 8, name: 'Q', n: 2.5 }],
      ['007', { id: '007', name: 'Bond, James', n: 1 }],
    ])
    const columns = await varve('export', path, 'auto', '--format', 'csv', '--columns', 'name,n,none')
    expect(columns.stdout).toBe('key,name,n,none\n8,Q,2.5,\n007,"Bond, James",1,\n')
  })

  test('read Parquet', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'data')
    const file = resolve('node_modules/vega-datasets/data/flights-3m.parquet')
    let bytes = 0
    const rows: Row[] = []
    for await (const batch of readParquet(file, added => (bytes += added))) if (rows.push(...batch) >= 3000) break
    expect(bytes).toBeGreaterThan(0)
    expect(bytes).toBeLessThan(fs.statSync(file).size)
    const db = await open(path)
    const importer = new Importer(db, db.store('flights'), {
      key: ['origin', 'date', 'destination', 'delay'],
      value: undefined,
      skipBad: false,
      onBad: () => undefined,
    })
    await importer.add(file, rows)
    await importer.finish()
    expect([importer.imported, importer.badCount]).toEqual([rows.length, 0])
    const [key, value] = [...db.store('flights').entries({ limit: 1 })][0] as [unknown[], Record<string, unknown>]
    expect(key).toEqual([value.origin, value.date, value.destination, value.delay])
    expect(Object.keys(value).sort()).toEqual(['date', 'delay', 'destination', 'distance', 'origin'])
    expect([typeof value.delay, value.date instanceof Date, typeof value.origin]).toEqual(['number', true, 'string'])
    await db.close()
    const short = fileWith(folder, 'not.parquet', 'PAR1 and nothing more')
    expect(await varve('import', path, 'p', short, '--format', 'parquet', '--key', 'id')).toMatchObject({
      status: exitCodes.badInput,
      stderr: expect.stringContaining('is not Parquet'),
    })
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const duck = await (await DuckDBInstance.create(':memory:')).connect()
    const packed = join(folder, 'packed.parquet')
    await duck.run(`copy (select 1 as id, 'é' as t, from_hex('ff00') as b) to '${packed}' (format parquet, compression zstd)`)
    duck.closeSync()
    expect(await varve('import', path, 'packed', packed, '--format', 'parquet', '--key', 'id')).toMatchObject({ status: 0 })
    const again = await open(path)
    expect(again.store('packed').get(1)).toEqual({ id: 1, t: 'é', b: new Uint8Array([0xff, 0]) })
    await again.close()
    const none = await varve('import', path, 'p', file, '--format', 'parquet', '--key', 'date,no-such-column')
    expect(none).toMatchObject({
      status: exitCodes.badInput,
      stderr: expect.stringContaining('flights-3m.parquet:1: there is no field no-such-column'),
    })
  })
})

describe('bad rows', () => {
  const text = '{"id":1}\nnot json\n{"no":"id"}\n{"id":{"a":1}}\n\n{"id":2}\n{"id":{"$date":1}}\n'

  test('the first one ends the import, with file and line, and what is before it is there', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'data')
    const file = fileWith(folder, 'bad.jsonl', text)
    expect(await varve('import', path, 's', file, '--format', 'jsonl', '--key', 'id')).toEqual({
      status: exitCodes.badInput,
      stdout: '',
      stderr: expect.stringMatching(/bad\.jsonl:2: the line is not JSON: .*; 1 entry before it is imported \(BAD_INPUT\)\n$/),
    })
    expect(await contentOf(path, 's')).toEqual([[1, { id: 1 }]])
    const refused = fileWith(folder, 'refused.jsonl', '{"id":5}\n{"id":{"a":1}}\n{"id":6}\n')
    expect(await varve('import', path, 's', refused, '--format', 'jsonl', '--key', 'id')).toMatchObject({
      status: exitCodes.badInput,
      stderr: expect.stringMatching(/refused\.jsonl:2: key must be .*; 1 entry before it is imported/),
    })
    expect((await contentOf(path, 's')).map(([key]) => key)).toEqual([1, 5])
  })

  test('--skip-bad names and counts them, and goes on', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'data')
    const file = fileWith(folder, 'bad.jsonl', text)
    const outcome = await varve('import', path, 's', file, '--format', 'jsonl', '--key', 'id', '--skip-bad')
    expect(outcome).toMatchObject({ status: 0, stdout: 's: 3 entries from 1 file, 3 bad rows skipped\n' })
    expect(outcome.stderr.match(/bad\.jsonl:\d+/g)).toEqual(['bad.jsonl:2', 'bad.jsonl:3', 'bad.jsonl:4'])
    expect((await contentOf(path, 's')).map(([key]) => key)).toEqual([1, 2, new Date(1)])
    const latin1 = join(folder, 'latin1.jsonl')
    fs.writeFileSync(latin1, Buffer.from('{"id":"\xe4"}\n{"id":3}', 'latin1'))
    const csv = fileWith(folder, 'bad.csv', 'id,n\n1,2\n3\n4,5,6\n7,8\n"9,10\n')
    const json = JSON.parse((await varve('import', '--json', path, 'j', latin1, '--format', 'jsonl', '--key', 'id', '--skip-bad')).stdout)
    expect(json).toMatchObject({ imported: 1, badRows: 1, bad: [{ file: latin1, line: 1, problem: 'the line is not UTF-8' }] })
    const cells = JSON.parse((await varve('import', '--json', path, 'c', csv, '--format', 'csv', '--key', 'id', '--skip-bad')).stdout)
    expect(cells).toMatchObject({ imported: 2, badRows: 3 })
    expect((cells.bad as { line: number }[]).map(({ line }) => line).slice(0, 2)).toEqual([3, 4])
  })

  test('a missing file, a wrong option and a format that is not known make nothing', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'data')
    const file = fileWith(folder, 'rows.jsonl', '{"id":1}')
    expect(await varve('import', path, 's', join(folder, 'none'), '--format', 'jsonl')).toMatchObject({ status: exitCodes.io })
    expect(await varve('import', path, 's', file, '--format', 'xml')).toMatchObject({ status: exitCodes.usage })
    expect(await varve('import', path, 's', file)).toMatchObject({ status: exitCodes.usage })
    expect(await varve('import', path, 's', file, '--format', 'jsonl', '--key', 'a,,b')).toMatchObject({ status: exitCodes.usage })
    expect(await varve('import', path, 's', file, '--format', 'jsonl', '--cells', 'auto')).toMatchObject({ status: exitCodes.usage })
    expect(fs.readdirSync(folder)).toEqual(['rows.jsonl'])
  })

  test('a package that is missing is named', async () => {
    const name = 'no-such-package-of-varve'
    await expect(loadOptional(name, 'reading CSV', () => import(name))).rejects.toMatchObject({
      code: 'CODEC_MISSING',
      message: expect.stringContaining(`npm install ${name}`),
    })
    await expect(loadOptional('x', 'reading CSV', () => Promise.reject(new Error('other')))).rejects.toThrow('other')
  })
})

test('import reads stdin, and export writes stdout', () => {
  const folder = temporaryFolder()
  const main = resolve('lib/cli/main.js')
  const input = '{"id":1}\n{"id":2}\n'
  const into = spawnSync(process.execPath, [main, 'import', 'data', 's', '-', '--format', 'jsonl', '--key', 'id'], {
    cwd: folder,
    input,
    encoding: 'utf8',
  })
  expect([into.status, into.stderr, into.stdout]).toEqual([0, '', 's: 2 entries from 1 file\n'])
  const out = spawnSync(process.execPath, [main, 'export', 'data', 's', '--format', 'csv', '--columns', 'id'], {
    cwd: folder,
    encoding: 'utf8',
  })
  expect([out.status, out.stderr, out.stdout]).toEqual([0, '', 'key,id\n1,1\n2,2\n'])
})

describe('backup and restore', () => {
  test('copy a database, and refuse what is in the way', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'data')
    const db = await open(path)
    await db.store('all').batch(mixed.map(([key, value]) => ({ type: 'put', key, value })))
    await db.close()
    const [backup, restored] = [join(folder, 'backup'), join(folder, 'restored')]
    const made = await varve('backup', '--json', path, backup)
    expect([made.status, made.stderr, JSON.parse(made.stdout)]).toMatchObject([0, '', { path: backup, segments: 1, linkedSegments: 1 }])
    expect(await varve('backup', path, backup)).toMatchObject({
      status: exitCodes.io,
      stderr: expect.stringMatching(/backup: is not empty.*\(EXISTS\)/),
    })
    expect(await varve('restore', backup, restored)).toMatchObject({ status: 0, stdout: expect.stringContaining('checked and copied') })
    expect(await varve('verify', restored)).toMatchObject({ status: 0 })
    expect(await contentOf(restored, 'all')).toEqual(await contentOf(path, 'all'))
    const segment = fs.readdirSync(backup).find(name => name.endsWith('.seg')) as string
    const bytes = fs.readFileSync(join(backup, segment))
    bytes[200] = (bytes[200] ?? 0) ^ 1
    fs.rmSync(join(backup, segment))
    fs.writeFileSync(join(backup, segment), bytes)
    expect(await varve('restore', backup, join(folder, 'again'))).toMatchObject({
      status: exitCodes.damaged,
      stderr: expect.stringContaining('is damaged'),
    })
    expect(fs.readdirSync(folder).sort()).toEqual(['backup', 'data', 'restored'])
  })
})

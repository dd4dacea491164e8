/** Goal: the verbs on entries do what their help says: values and order, --json, exit codes, nothing made by reading, complaints for bad input. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { exitCodes } from '../../../cli/exit-codes.ts'
import { open } from '../../../index.ts'
import { temporaryFolder } from '../engine/tools/databases.ts'
import { varve } from './run-command.ts'

let path = ''

beforeAll(async () => {
  path = join(temporaryFolder(), 'data')
  const db = await open(path)
  await db.store('people').batch([
    { type: 'put', key: ['ada', 1], value: { name: 'Ada', born: new Date(0) } },
    { type: 'put', key: ['ada', 2], value: 'second' },
    { type: 'put', key: ['bob'], value: 7n },
    { type: 'put', key: 'carl', value: null },
    { type: 'put', key: 42, value: Uint8Array.of(1, 2) },
  ])
  await db.store('texts', { keys: 'string', value: 'string' }).put('42', 'forty two')
  await db.store('raw', { keys: 'bytes', value: 'bytes' }).put(Uint8Array.of(0xab), new TextEncoder().encode('abc'))
  await db.close()
})

describe('get', () => {
  test('finds tuple keys by JSON literals, string keys by text, bytes by hex', async () => {
    const cases: [string[], string][] = [
      [['people', '["ada",1]'], '{"name":"Ada","born":{"$date":"1970-01-01T00:00:00.000Z"}}\n'],
      [['people', '["bob"]'], '{"$bigint":"7"}\n'],
      [['people', 'carl'], 'null\n'],
      [['people', '"carl"'], 'null\n'],
      [['people', '42'], '{"$bytes":"0102"}\n'],
      [['people', '42', '--values-as', 'hex'], '0102\n'],
      [['texts', '42'], '"forty two"\n'],
      [['texts', '42', '--values-as', 'text'], 'forty two\n'],
      [['raw', 'ab', '--values-as', 'text'], 'abc\n'],
    ]
    for (const [args, stdout] of cases) {
      const [store, ...rest] = args as [string, ...string[]]
      expect(await varve('get', path, store, ...rest), args.join(' ')).toEqual({ status: 0, stdout, stderr: '' })
    }
  })

  test('an absent key is exit code 8 and no complaint; --json says it', async () => {
    expect(await varve('get', path, 'people', 'nobody')).toEqual({ status: exitCodes.absent, stdout: '', stderr: '' })
    expect(await varve('get', path, 'people', '42', '--keys-as', 'text')).toMatchObject({ status: exitCodes.absent })
    const absent = await varve('get', '--json', path, 'people', '["x"]')
    expect([absent.status, JSON.parse(absent.stdout)]).toEqual([exitCodes.absent, { found: false, key: ['x'] }])
    expect(JSON.parse((await varve('get', '--json', path, 'people', '["bob"]')).stdout)).toEqual({
      found: true,
      key: ['bob'],
      value: { $bigint: '7' },
    })
  })
})

describe('scan and count', () => {
  test('print entries in key order, within the range', async () => {
    const keys = async (...args: string[]): Promise<string[]> =>
      (await varve('scan', path, 'people', '--keys-only', ...args)).stdout.split('\n').filter(line => line !== '')
    const all = ['42', '"carl"', '["ada",1]', '["ada",2]', '["bob"]']
    expect(await keys()).toEqual(all)
    expect(await keys('--reverse')).toEqual([...all].reverse())
    expect(await keys('--prefix', '["ada"]')).toEqual(all.slice(2, 4))
    expect(await keys('--gt', '42', '--lte', '["ada",1]')).toEqual(all.slice(1, 3))
    expect(await keys('--gte', 'carl', '--lt', '["bob"]', '--limit', '1')).toEqual(['"carl"'])
    expect((await varve('scan', path, 'people', '--limit', '2')).stdout).toBe('42\t{"$bytes":"0102"}\n"carl"\tnull\n')
    expect((await varve('scan', path, 'texts', '--values-only', '--values-as', 'text')).stdout).toBe('forty two\n')
    const lines = (await varve('scan', '--json', path, 'people', '--limit', '2')).stdout.trim().split('\n')
    expect(lines.map(line => JSON.parse(line))).toEqual([
      { key: 42, value: { $bytes: '0102' } },
      { key: 'carl', value: null },
    ])
    expect(JSON.parse((await varve('scan', '--json', path, 'people', '--limit', '1', '--values-only')).stdout)).toEqual({
      value: { $bytes: '0102' },
    })
  })

  test('count', async () => {
    expect(await varve('count', path, 'people')).toEqual({ status: 0, stdout: '5\n', stderr: '' })
    expect((await varve('count', path, 'people', '--prefix', '["ada"]')).stdout).toBe('2\n')
    expect((await varve('count', path, 'people', '--limit', '3')).stdout).toBe('3\n')
    expect(JSON.parse((await varve('count', '--json', '--estimate', path, 'people')).stdout)).toEqual({
      store: 'people',
      count: 5,
      exact: false,
    })
  })

  test('ranges that contradict themselves, and keys that are none, are usage errors or bad input', async () => {
    expect(await varve('scan', path, 'people', '--gt', '1', '--gte', '2')).toMatchObject({ status: exitCodes.usage, stdout: '' })
    expect(await varve('scan', path, 'people', '--keys-only', '--values-only')).toMatchObject({ status: exitCodes.usage })
    expect(await varve('scan', path, 'people', '--limit', '-1')).toMatchObject({ status: exitCodes.usage })
    expect(await varve('get', path, 'people', '{"a":1}')).toMatchObject({
      status: exitCodes.usage,
      stderr: expect.stringContaining('key must be'),
    })
    expect(await varve('get', path, 'people', '[1', '--keys-as', 'json')).toEqual({
      status: exitCodes.badInput,
      stdout: '',
      stderr: expect.stringMatching(/^varve: the key is not JSON: .* \(BAD_INPUT\)\n$/),
    })
    expect(await varve('get', path, 'raw', 'xyz')).toMatchObject({ status: exitCodes.badInput })
    expect(await varve('get', path, 'people', 'a', '--keys-as', 'yaml')).toMatchObject({ status: exitCodes.usage })
  })
})

test('the name of a topic log is told apart from one that nothing has', async () => {
  const folder = join(temporaryFolder(), 'data')
  const db = await open(folder)
  await db.define([{ name: 'audit', kind: 'topic' }])
  await db.close()
  const lists = `\`varve stores ${folder}\` lists the stores (NOT_FOUND)\n`
  const audit = `audit is a topic log, not a store: \`varve stats ${folder}\` shows its offsets, \`varve dump\` on a segment file its records`
  expect(await varve('scan', folder, 'audit')).toEqual({ status: exitCodes.io, stdout: '', stderr: `varve: ${audit}; ${lists}` })
  expect(await varve('get', folder, 'adit', 'x')).toMatchObject({ stderr: `varve: no store is named adit; ${lists}` })
})

describe('put and del', () => {
  test('make the database and the store, set and remove entries', async () => {
    const fresh = join(temporaryFolder(), 'fresh')
    expect(await varve('put', fresh, 'things', '["a",1]', '{"n":1}')).toEqual({ status: 0, stdout: 'things: 1 entry put\n', stderr: '' })
    expect(JSON.parse((await varve('put', '--json', fresh, 'things', 'b', 'plain', '--values-as', 'text')).stdout)).toEqual({
      store: 'things',
      key: 'b',
    })
    await varve('put', fresh, 'things', 'short', '1', '--ttl', '1')
    expect((await varve('scan', fresh, 'things')).stdout).toBe('"b"\t"plain"\n["a",1]\t{"n":1}\n')
    expect(await varve('del', fresh, 'things', 'b', 'b', 'nobody')).toMatchObject({ status: 0, stdout: 'things: 1 entry deleted\n' })
    expect(JSON.parse((await varve('del', '--json', fresh, 'things', '["a",1]')).stdout)).toEqual({ deleted: 1 })
    expect((await varve('count', fresh, 'things')).stdout).toBe('0\n')
    expect(await varve('put', fresh, 'things', 'c', 'no json')).toMatchObject({ status: exitCodes.badInput })
    expect(await varve('put', path, 'texts', 'c', '1')).toMatchObject({
      status: exitCodes.usage,
      stderr: expect.stringContaining('value must be a string'),
    })
  })

  test('put takes the value from stdin', () => {
    const fresh = join(temporaryFolder(), 'fresh')
    const main = resolve('lib/cli/main.js')
    const { status } = spawnSync(process.execPath, [main, 'put', fresh, 'things', 'k', '-'], { input: '{"from":"stdin"}' })
    const { stdout } = spawnSync(process.execPath, [main, 'get', fresh, 'things', 'k'], { encoding: 'utf8' })
    expect([status, stdout]).toEqual([0, '{"from":"stdin"}\n'])
  })
})

describe('stores and stats', () => {
  test('list stores with codecs and estimates', async () => {
    expect(JSON.parse((await varve('stores', '--json', path)).stdout).stores).toMatchObject([
      { name: 'people', keys: 'tuple', value: 'msgpack', entries: 5 },
      { name: 'raw', keys: 'bytes', value: 'bytes', entries: 1 },
      { name: 'texts', keys: 'string', value: 'string', entries: 1 },
    ])
    expect((await varve('stores', path)).stdout).toMatch(/^store +keys +values +about entries +on disk\npeople +tuple +msgpack +5 /)
  })

  test('stats shows runs by level', async () => {
    const copy = join(temporaryFolder(), 'data')
    const db = await open(copy)
    await db.store('s').put('a', 1)
    await db.seal()
    await db.store('s').put('b', 1)
    await db.close()
    const report = JSON.parse((await varve('stats', '--json', copy)).stdout)
    expect(report.stores).toMatchObject([
      {
        name: 's',
        keys: 'tuple',
        value: 'msgpack',
        entriesEstimate: 2,
        levels: [{ level: 0, runs: 1, records: 1 }],
        readAmplification: 1,
        spaceAmplification: 1,
      },
    ])
    expect((await varve('stats', copy)).stdout).toMatch(/\ns +tuple +msgpack +none +2 .* 1\.0 x +L0: 1 \(/)
  })
})

describe('what is not there', () => {
  test('reading makes neither a database nor a store', async () => {
    const folder = temporaryFolder()
    const nowhere = join(folder, 'nowhere')
    for (const args of [
      ['get', nowhere, 's', 'k'],
      ['scan', nowhere, 's'],
      ['count', nowhere, 's'],
      ['del', nowhere, 's', 'k'],
      ['stores', nowhere],
    ]) {
      expect(await varve(...args), args[0]).toMatchObject({ status: exitCodes.io, stderr: expect.stringContaining('(NOT_A_DATABASE)') })
    }
    expect(await varve('export', nowhere, 's', '--format', 'jsonl')).toMatchObject({ status: exitCodes.io })
    expect(await varve('backup', nowhere, join(folder, 'b'))).toMatchObject({ status: exitCodes.io })
    expect(await varve('restore', nowhere, join(folder, 'b'))).toMatchObject({ status: exitCodes.io })
    expect(fs.readdirSync(folder)).toEqual([])
    for (const verb of ['scan', 'count']) {
      const { status, stderr } = await varve(verb, '--json', path, 'nothing')
      expect([status, JSON.parse(stderr).error.code]).toEqual([exitCodes.io, 'NOT_FOUND'])
    }
    expect((await varve('stores', path)).stdout).not.toContain('nothing')
  })

  test('a database that is open names its owner', async () => {
    const db = await open(path)
    const outcome = await varve('get', '--json', path, 'people', 'carl')
    await db.close()
    expect(outcome.status).toBe(exitCodes.locked)
    expect(JSON.parse(outcome.stderr).error).toMatchObject({ code: 'LOCKED', details: { owner: { pid: process.pid } } })
  })
})

/** Goal: the verbs on topics and groups do on a real folder what the library does, print JSON when asked, and refuse bad input with the documented exit codes. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { exitCodes } from '../../../cli/exit-codes.ts'
import { open } from '../../../index.ts'

const main = resolve('lib/cli/main.js')
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-cli-topics-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function varve(args: readonly string[], input?: string): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8', input })
  return { status, stdout, stderr }
}

test('a topic is made, filled from stdin, read by a group, replayed, and its group reset', async () => {
  expect(varve(['topics', 'data', 'orders', '--create', '--partitions', '2', '--key', 'customer', '--json']).status).toBe(0)
  const lines = ['ada', 'bob', 'ada'].map((customer, n) => JSON.stringify({ customer, n })).join('\n')
  expect(varve(['produce', 'data', 'orders', '--json'], `${lines}\n`)).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('"sent": 3'),
  })
  const consumed = varve(['consume', 'data', 'orders', '--group', 'g', '--json'])
  const records = consumed.stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { key: string; value: { n: number } })
  expect(records.filter(({ key }) => key === 'ada').map(({ value }) => value.n)).toEqual([0, 2])
  expect(varve(['consume', 'data', 'orders', '--group', 'g'])).toMatchObject({ status: 0, stdout: '' })
  const replayed = varve(['replay', 'data', 'orders', '--to-store', 'latest', '--key', 'ada', '--json'])
  expect(JSON.parse(replayed.stdout)).toMatchObject({ read: 3, written: 2 })
  const groups = varve(['groups', 'data', 'g', '--topic', 'orders', '--to-earliest', '--json'])
  expect(JSON.parse(groups.stdout)).toMatchObject({ group: 'g', lag: 3, members: [] })
  expect(varve(['topics', 'data', 'orders', '--retention-bytes', '0']).status).toBe(0)
  const retention = JSON.parse(varve(['retention', 'data', 'orders', '--json']).stdout) as { deleted: object[]; left: { bytes: number }[] }
  expect(retention.deleted.length).toBeGreaterThan(0)
  expect(retention.left[0]?.bytes).toBe(0)
  const db = await open(join(folder, 'data'))
  expect(db.store('latest').get('ada')).toEqual({ customer: 'ada', n: 2 })
  await db.close()
})

test('a topic with an index of keys takes values by version, shows the records of a key, and is compacted by its name', async () => {
  const db = await open(join(folder, 'data'))
  const topic = db.topic<string>('t', { value: 'string', cleanup: 'compact', keyIndex: true })
  await topic.sendBatch(['one', 'two'].map(value => ({ key: 'a', value })))
  await db.store('s', { changes: true }).put('k', 1)
  await db.resetGroup('g', 'store/s', 'earliest')
  await db.close()
  const produce = (...args: string[]) => varve(['produce', 'data', 't', 'gone', '--values-as', 'text', '--key', 'a', ...args])
  expect(produce('--expected-version', '-1')).toMatchObject({
    status: exitCodes.badInput,
    stderr: expect.stringContaining('the version of key "a" is 1'),
  })
  expect(produce('--expected-version', '1', '--ttl-ms', '0').status).toBe(0)
  const shown = (...args: string[]) => varve(['consume', 'data', 't', '--values-as', 'text', ...args]).stdout
  expect(shown('--key', 'a')).toBe('0:0\ta\tone\n0:1\ta\ttwo\n')
  const replayed = varve(['replay', 'data', 't', '--to-topic', 'copy', '--expired', '--json'])
  expect(JSON.parse(replayed.stdout)).toMatchObject({ written: 3 })
  const compacted = JSON.parse(varve(['compact', 'data', '--topics', 't', '--json']).stdout) as { topics: Record<string, number>[] }
  expect(compacted.topics.map(({ topic, bytesBefore, bytesAfter }) => [topic, (bytesAfter as number) < (bytesBefore as number)])).toEqual([
    ['t', true],
  ])
  expect(shown('--expired', '--key', 'a')).toBe('0:2\ta\tgone\n')
  const off = varve(['topics', 'data', 't', '--key-index', 'off', '--json'])
  expect(JSON.parse(off.stdout)).toMatchObject({ options: { keyIndex: false } })
  const reset = varve(['groups', 'data', 'g', '--topic', 'store/s', '--to-latest', '--json'])
  expect(JSON.parse(reset.stdout)).toMatchObject({ partitions: [{ topic: 'store/s', offset: 1 }], lag: 0 })
})

test('what cannot be done ends with its exit code and one line', () => {
  varve(['topics', 'data', 't', '--create', '--value', 'string'])
  const cases: [readonly string[], number, RegExp, string?][] = [
    [['consume', 'data', 'nope'], exitCodes.io, /no topic is named nope/],
    [['topics', 'data', 't', '--delete', '--rename-to', 'x'], exitCodes.usage, /exclude each other/],
    [['produce', 'data', 't', '--records'], exitCodes.badInput, /line 2: a record must be an object/, '{"value":"x"}\n5\n'],
    [['consume', 'data', 't', '--from-time', 'yesterday-ish'], exitCodes.usage, /--from-time must be a date/],
    [['replay', 'data', 't', '--pace', '-1'], exitCodes.usage, /number above 0/],
    [['groups', 'data', 'g', '--to-latest'], exitCodes.usage, /a reset needs a group and --topic/],
    [['groups', 'data', 'g', '--topic', 't', '--to-latest', '--shift', '-1'], exitCodes.usage, /exclude each other/],
    [['produce', 'data', 't', '--expected-version', '0'], exitCodes.usage, /of one value/, ''],
    [['consume', 'data', 't', '--key', 'a', '--group', 'g'], exitCodes.usage, /--key goes with/],
    [['compact', 'data', '--topics', 't'], exitCodes.usage, /cleanup: 'compact'/],
    [['compact', 'data', '--topics', 't', '--logs', 'x'], exitCodes.usage, /exclude each other/],
    [['topics', 'nowhere'], exitCodes.io, /nowhere/],
  ]
  for (const [args, status, message, input] of cases) {
    const outcome = varve(args, input)
    expect([args.join(' '), outcome.status]).toEqual([args.join(' '), status])
    expect(outcome.stderr).toMatch(message)
    expect(outcome.stderr.trim().split('\n').length).toBeLessThan(3)
  }
})

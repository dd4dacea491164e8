/** The small examples run as they are, and README and API.md show some of them to the letter. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)

async function outputOf(example: string): Promise<string> {
  const { stdout } = await run(process.execPath, [`dist/examples/${example}.js`])
  return stdout.trim()
}

test('quickstart prints what it appended', async () => {
  expect(await outputOf('quickstart')).toBe('0: ada 12 eggs\n1: bob 1 goose')
})

test('topic: what was sent is billed exactly once', async () => {
  expect(await outputOf('topic')).toBe("[ [ 'ada', 21 ], [ 'bob', 3 ] ]")
})

test('store prints what it put, found, deleted and let expire', async () => {
  expect((await outputOf('store')).split('\n')).toEqual([
    'Ada',
    'emmy Erlangen',
    '2',
    'of Ada: 12 eggs, 1 goose',
    'since February: 1 goose',
    '1 left, 3 before',
    'sessions: s1',
    'taken over: true',
  ])
})

test('changes: the copy goes on where it was and sees each change once', async () => {
  expect((await outputOf('changes')).split('\n').map(line => line.trim())).toEqual([
    'from start to 2',
    'put monday',
    'put tuesday',
    'copy: monday tuesday',
    'from 2 to 5',
    'del monday',
    'put wednesday',
    'delRange {"gte":"tue","lt":"tuf"}',
    'copy: wednesday',
    'from 5 to 5',
  ])
})

test('event-sourcing: a store rebuilt from its topic is the same, and a refused command leaves no event', async () => {
  expect(await outputOf('event-sourcing')).toBe(
    [
      'refused: true, somebody was faster',
      'refused: emmy has not 999',
      'ada: 250 after 6 events',
      'emmy: 250 after 5 events',
      'rebuilt alike: true',
    ].join('\n'),
  )
})

test('backup: what was written before it is restored, what came after is not', async () => {
  expect(await outputOf('backup')).toBe('the database has 101 readings\nrestored and checked: 100 readings')
})

test('lease: the worker sees the moment of the lease', async () => {
  expect(await outputOf('lease')).toBe('the worker counted 1000 records, the owner has 1001')
})

test('job-queue: two workers share the jobs, a failing one is tried again and put aside, a delayed one comes last', async () => {
  expect((await outputOf('job-queue')).split('\n')).toEqual([
    'done: later, mail ada, mail bob, mail cyd',
    'gave up on "broken" after 3 deliveries: Error: no such address',
    'mails counted: 4, left: 0',
  ])
})

test('terasort: the files of several tasks are the rows of the input in order', async () => {
  expect(await outputOf('terasort')).toMatch(/^20000 rows in \d+ files?, in order, and the same rows$/)
})

test('level: a graph database of the Level ecosystem works on Varve, a sublevel beside it', async () => {
  expect(await outputOf('level')).toBe(
    ['from JFK: B6725', 'with United: UA1545 UA1714', 'of UA1714: United LGA Flight', 'ada starts at LGA'].join('\n'),
  )
})

test.each([
  ['store', 'README.md'],
  ['topic', 'README.md'],
  ['quickstart', 'docs/API.md'],
])('%s is shown in %s as it is', (name, document) => {
  const source = readFileSync(`examples/${name}.ts`, 'utf8')
  const shown = source.slice(source.indexOf('// [readme]\n') + '// [readme]\n'.length, source.indexOf('// [/readme]'))
  expect(shown.length).toBeGreaterThan(500)
  expect(readFileSync(document, 'utf8')).toContain(shown.trim())
})

test('docs/API.md shows the following reader as it is', () => {
  const source = readFileSync('examples/follow.ts', 'utf8')
  const shown = source.slice(source.indexOf('import '))
  expect(shown.length).toBeGreaterThan(500)
  expect(readFileSync('docs/API.md', 'utf8')).toContain(shown.trim())
})

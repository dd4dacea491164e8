/** The small examples run as they are, and README and API.md show some of them to the letter. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
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

test('word-count: MapReduce in two threads and a flow count alike', async () => {
  expect(await outputOf('word-count')).toBe(['8 words in 1300 lines', 'wheel 1400', 'a 1400', 'is 600', 'alike: true'].join('\n'))
})

test('dataset: topic, store and CSV are joined, summed by month and ranked; a file for each country', async () => {
  // As plain JavaScript has it.
  const nets = [new Map<number, number>(), new Map<number, number>()]
  for (let i = 0; i < 1000; i++) {
    const months = nets[i % 2] as Map<number, number>
    months.set((i % 3) + 1, (months.get((i % 3) + 1) ?? 0) + (1000 + i) / (i % 2 === 0 ? 1.2 : 1.19) / 100)
  }
  const best = nets.map(months => [...months].sort(([, a], [, b]) => b - a)[0] as [number, number]).sort(([, a], [, b]) => a - b)
  expect(await outputOf('dataset')).toBe(
    ['6 rows in country=DE and country=GB', ...best.map(([month, net]) => `month ${month}: 167 orders, ${Math.round(net)} net`)].join('\n'),
  )
})

test('convert: a bad line of CSV is named, or left out; JSON lines and Parquet have the rest', async () => {
  expect((await outputOf('convert')).split('\n').slice(0, 6)).toEqual([
    'refused: readings.csv, line 4',
    '2 rows, 1 left out',
    '{"place":"cellar","celsius":12.5,"fahrenheit":54.5}',
    '{"place":"attic","celsius":30,"fahrenheit":86}',
    '[',
    "  { place: 'garden, north', celsius: -3 },",
  ])
})

test('exactly-once: however often it is interrupted, each item of an order becomes one parcel', async () => {
  const lines = (await outputOf('exactly-once')).split('\n')
  expect(lines.length).toBeGreaterThan(4)
  expect(lines.at(-2)).toMatch(/: 0 orders are left$/)
  expect(lines.at(-1)).toBe('199 parcels of 100 orders')
})

test('cache: one call for two who miss at once, none for what is there, also after a restart, until its time is over', async () => {
  expect((await outputOf('cache')).split('\n')).toEqual([
    "[ 'weather of Ulm', 'weather of Ulm', 'weather of Bern' ] 2 calls",
    'after a restart: 2 calls',
    'after its time: undefined',
  ])
})

test('each is an example, not a program: fewer than 120 lines, and run here', () => {
  const examples = readdirSync('examples').filter(file => file.endsWith('.ts') && file !== 'main-job.ts')
  expect(examples.length).toBeGreaterThanOrEqual(8)
  const source = readFileSync('test/examples/examples.test.ts', 'utf8')
  for (const file of examples) {
    expect(readFileSync(`examples/${file}`, 'utf8').split('\n').length, file).toBeLessThan(120)
    expect(source, file).toContain(file.replace('.ts', ''))
  }
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

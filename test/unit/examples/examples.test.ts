/** The small examples run as they are, and the README shows the first of them to the letter. */
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

test('lease: the worker sees the moment of the lease', async () => {
  expect(await outputOf('lease')).toBe('the worker counted 1000 records, the owner has 1001')
})

test('level: a graph database of the Level ecosystem works on Varve, a sublevel beside it', async () => {
  expect(await outputOf('level')).toBe(
    ['from JFK: B6725', 'with United: UA1545 UA1714', 'of UA1714: United LGA Flight', 'ada starts at LGA'].join('\n'),
  )
})

test('the README shows the quickstart as it is', () => {
  const source = readFileSync('examples/quickstart.ts', 'utf8')
  const shown = source.slice(source.indexOf('// [readme]\n') + '// [readme]\n'.length, source.indexOf('// [/readme]'))
  expect(shown.length).toBeGreaterThan(500)
  expect(readFileSync('README.md', 'utf8')).toContain(shown.trim())
})

test('docs/API.md shows the following reader as it is', () => {
  const source = readFileSync('examples/follow.ts', 'utf8')
  const shown = source.slice(source.indexOf('import '))
  expect(shown.length).toBeGreaterThan(500)
  expect(readFileSync('docs/API.md', 'utf8')).toContain(shown.trim())
})

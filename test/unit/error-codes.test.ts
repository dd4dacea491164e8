/**
 * Goal: every documented error code is raised somewhere in the sources, and some test expects it: names it as the code of an error that it asserts. Read
 * from the texts of both; a code that is only mentioned does not count.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errorCodes } from '../../index.ts'

function textsOf(folder: string, skipped: (path: string) => boolean = () => false): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => !skipped(path))
    .map(path => readFileSync(path, 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ''))
}

const sources = ['engine', 'stream', 'level', 'cli'].flatMap(folder => textsOf(folder, path => path === join('engine', 'errors.ts')))
const tests = textsOf('test', path => path.endsWith('error-codes.test.ts'))
// `assert` of the sources, and the two functions of errors.ts that choose a code, raise these.
const raisedByErrors = readFileSync('engine/errors.ts', 'utf8').slice(
  readFileSync('engine/errors.ts', 'utf8').indexOf('export class VarveError'),
)

test.each(Object.keys(errorCodes))('%s', code => {
  expect(
    [...sources, raisedByErrors].some(text => text.includes(`'${code}'`)),
    'raised',
  ).toBe(true)
  const expected = new RegExp(
    [
      `code: '${code}'`, // toMatchObject({ code })
      `\\b[cC]oded?(Of)?\\('${code}'\\)`, // helpers that make the matcher
      `toBe\\('${code}'\\)`,
      `isVarveError\\(\\w+, '${code}'\\)`,
      `\\.code\\)?[^\\n]{0,40}'${code}'`,
      `'${code}'[^\\n]{0,60}\\.code\\b`,
      `\\b(refused|rejects|fails|expect\\w*|throws)\\([^\\n]*'${code}'`,
    ].join('|'),
  )
  expect(
    tests.some(text => expected.test(text)),
    'expected by a test',
  ).toBe(true)
})

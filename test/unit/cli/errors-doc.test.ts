/** Goal: docs/ERRORS.md lists every code, in the order of engine/errors.ts, each with a cause and a remedy, and the details that come with it. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { errorCodes } from '../../../index.ts'

test('every code has a cause and a remedy', () => {
  const rows = [...readFileSync('docs/ERRORS.md', 'utf8').matchAll(/^\| `(\w+)` \| (.+) \| (.+) \|$/gm)]
  expect(rows.map(([, code]) => code)).toEqual(Object.keys(errorCodes))
  for (const [, code, cause, remedy] of rows) {
    expect(cause?.length, code).toBeGreaterThan(20)
    expect(remedy?.length, code).toBeGreaterThan(8)
  }
})

test('details stand in the order of the codes, and name all that the causes speak of', () => {
  const text = readFileSync('docs/ERRORS.md', 'utf8')
  const details = new Map([...text.matchAll(/^\| `(\w+)` \| ([^|]*(?:\\\|[^|]*)*) \|$/gm)].map(([, code, row]) => [code, row as string]))
  const codes = Object.keys(errorCodes)
  expect(details.size).toBeGreaterThan(20)
  expect([...details.keys()]).toEqual(codes.filter(code => details.has(code)))
  for (const [, code, cause] of text.matchAll(/^\| `(\w+)` \| (.+) \| (.+) \|$/gm)) {
    for (const [, name] of cause?.matchAll(/details\.(\w+)/g) ?? [])
      expect(details.get(code), `${code}: ${name}`).toMatch(new RegExp(`\\b${name}\\b`))
  }
})

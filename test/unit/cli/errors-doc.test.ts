/** Goal: docs/ERRORS.md lists every code, in the order of engine/errors.ts, each with a cause and a remedy. */
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

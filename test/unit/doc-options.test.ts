/** Goal: docs/API.md lists every option of `open` in its table. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openOptionNames } from '../../engine/options.ts'

test('the table of options has a row for each', () => {
  const rows = readFileSync('docs/API.md', 'utf8')
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line => line.split(' | ')[0] ?? '')
  const missing = openOptionNames.filter(name => name !== 'environment' && !rows.some(cell => cell.includes(`\`${name}\``)))
  expect(missing).toEqual([])
})

/**
 * Goal: `VarveLevel` does what abstract-level's suite (version 3.1.1, as the lock file says) asks, with every optional feature switched on, on
 * the database and on sublevels. tape counts the same number of assertions; so does classic-level's run of the suite.
 */
import { expect, test } from 'vitest'
import { QuickLevel, runSuite } from './suite.ts'

test('passes the whole suite', async () => {
  const { passes, failures } = await runSuite(QuickLevel)
  expect(failures).toEqual([])
  expect(passes).toBe(5168)
}, 90_000)

/**
 * Goal: a folder that the engine once wrote stays readable, by the engine and by the reader that was written from docs/FORMAT.md.
 * UPDATE_FORMAT=1 writes the folder anew; that is allowed while the format is a draft.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openTest, viewOfEngine, viewOfReader } from './engine-view.ts'
import { copyOf } from './folders.ts'
import { GOLDEN, summary, writeGolden } from './golden.ts'
import { readFolder } from './reader/folder.ts'

const { UPDATE_FORMAT: update } = process.env

test('both readers read the golden folder of the draft', async () => {
  if (update === '1') await writeGolden()
  const expected: unknown = JSON.parse(readFileSync(`${GOLDEN}/expected.json`, 'utf8'))
  const read = readFolder(`${GOLDEN}/folder`)
  expect(summary(viewOfReader(read))).toEqual(expected)
  expect(read.segments.size).toBeGreaterThan(0)
  expect(read.commitLog.entries.some(entry => entry.carried)).toBe(true)
  const database = await openTest(copyOf(`${GOLDEN}/folder`))
  expect(summary(viewOfEngine(database))).toEqual(expected)
  await database.close()
})

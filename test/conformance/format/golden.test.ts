/**
 * Goal: a folder that the engine once wrote stays readable, by the engine, its stores included, and by the reader that was written from
 * docs/FORMAT.md.
 * UPDATE_FORMAT=1 writes the folder anew; that is allowed while the format is a draft.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { verify } from '../../../engine/tools/verify.ts'
import { openTest, testEnvironment, viewOfEngine, viewOfReader } from './engine-view.ts'
import { copyOf } from './folders.ts'
import { GOLDEN, storeView, summary, writeGolden } from './golden.ts'
import { readFolder } from './reader/folder.ts'

const { UPDATE_FORMAT: update } = process.env

test('both readers read the golden folder of the draft', async () => {
  if (update === '1') await writeGolden()
  const { store, ...expected } = JSON.parse(readFileSync(`${GOLDEN}/expected.json`, 'utf8')) as { readonly store: unknown }
  const read = readFolder(`${GOLDEN}/folder`)
  expect(summary(viewOfReader(read))).toEqual(expected)
  expect(read.segments.size).toBeGreaterThan(0)
  expect(read.commitLog.entries.some(entry => entry.carried)).toBe(true)
  const copy = copyOf(`${GOLDEN}/folder`)
  expect((await verify(copy, { environment: testEnvironment() })).findings.filter(({ severity }) => severity !== 'info')).toEqual([])
  const database = await openTest(copy)
  expect(summary(viewOfEngine(database))).toEqual(expected)
  expect(await storeView(database)).toEqual(store)
  await database.close()
})

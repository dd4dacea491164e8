/**
 * Goal: however a file of a folder is damaged, opening the folder and reading everything gives the right data, a legal shorter prefix, or a typed
 * error that names the file: never a crash, a hang or wrong data. `npm run soak:fuzz` damages a million folders.
 */
import { expect, test } from 'vitest'
import { type FuzzOutcome, runFuzzCase } from './fuzz-case.ts'
import { type Image, makeImages } from './images.ts'

const cases = 1000

test('thousands of damaged folders in the simulated environment', async () => {
  const images: Image[] = await makeImages(1)
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown): void => {
    unhandled.push(reason)
  }
  process.on('unhandledRejection', onUnhandled)
  const tally = { 'right data': 0, 'shorter prefix': 0, 'typed error': 0, FAILED: 0 }
  const failures: FuzzOutcome[] = []
  for (let seed = 1; seed <= cases; seed++) {
    const outcome = await runFuzzCase(images, seed)
    tally[outcome.kind]++
    if (outcome.kind === 'FAILED') failures.push(outcome)
    if (seed % 64 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  process.off('unhandledRejection', onUnhandled)
  expect(failures).toEqual([])
  expect(unhandled).toEqual([])
  // Each of the legal outcomes was met, so the damage reached what it was aimed at.
  expect(tally['right data']).toBeGreaterThan(cases / 10)
  expect(tally['typed error']).toBeGreaterThan(cases / 10)
  expect(tally['shorter prefix']).toBeGreaterThan(0)
})

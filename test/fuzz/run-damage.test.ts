/**
 * Goal: damage anywhere in the segments of a compacted store (blocks, fence keys, filters, range deletes, of the store and of its index) is told with
 * file and position, or hurts nothing that is read: never a wrong value, and never a key that is not found because its filter lost a bit.
 */
import { expect, test } from 'vitest'
import { isVarveError } from '../../engine/index.ts'
import { bytesOf, type FuzzOutcome, runDamaged } from './fuzz-case.ts'
import { makeImages } from './images.ts'

/** Prime, so that the flipped bytes lie at all places of fixed-size entries. */
const stride = 211

test('one bit of every 211th byte of the segments of a compacted store', async () => {
  const image = (await makeImages(1)).find(({ name }) => name === 'a compacted store, closed')
  if (image === undefined) throw new Error('there is such an image')
  const outcomes: FuzzOutcome[] = []
  for (const path of image.paths.filter(name => name.endsWith('.seg'))) {
    const { length } = bytesOf(image, path)
    for (let at = 0; at < length; at += stride) {
      const bytes = bytesOf(image, path)
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8))
      const outcome = await runDamaged(image, new Map([[path, bytes]]), true, at, `byte ${at} of ${path}`)
      outcomes.push(outcome)
      const { error } = outcome
      if (!isVarveError(error, 'CORRUPT')) continue
      expect(error.details, outcome.what).toMatchObject({ file: path, position: expect.any(Number) })
    }
  }
  expect(outcomes.filter(({ kind }) => kind === 'FAILED' || kind === 'shorter prefix')).toEqual([])
  const told = outcomes.filter(({ detail }) => detail === 'CORRUPT').length
  expect(told).toBeGreaterThan(outcomes.length / 2)
}, 60_000)

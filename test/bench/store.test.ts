/**
 * Goal: every workload of the store benchmark still runs on Varve and does the work that it claims: a run with small parameters passes its own checks
 * (values, counts) and yields sane numbers. Nothing is timed here.
 */
import { expect, test } from 'vitest'
import { smallParameters } from '../../bench/store/parameters.ts'
import { runStoreWorkload } from '../../bench/store/run-workload.ts'
import { storeWorkloads } from '../../bench/store/workloads.ts'

test.each(storeWorkloads.map(({ name }) => name))('%s', async name => {
  const sample = await runStoreWorkload(name, 'varve', smallParameters)
  expect(sample.operations).toBeGreaterThan(0)
  expect(sample.elapsedMs).toBeGreaterThan(0)
  expect(sample.rssBytes).toBeGreaterThan(1e6)
})

/**
 * Goal: whichever disk operation fails, in whatever way, nothing acknowledged is lost, nothing half-written is there, and every failure is a
 * typed error: no hang, no unhandled rejection, no surprise. Every third operation of the scripted workload (of a store: every seventeenth) fails, in one
 * of the ways here; in `npm run soak:fault` every one does, in all of them.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FaultMode, prepareStages, runFaultCase, type Stage } from './enumerate.ts'
import { sections } from './script.ts'

const unhandled: unknown[] = []
const onUnhandled = (reason: unknown): void => {
  unhandled.push(reason)
}

let stages: Stage[] = []

beforeAll(async () => {
  process.on('unhandledRejection', onUnhandled)
  stages = await prepareStages(1)
})

afterAll(() => {
  process.off('unhandledRejection', onUnhandled)
})

/** Stores make many operations, with large catalogs. */
const strides = { store: 17, others: 3 }

/** Most operations fail once, the others in a way that lasts; the soak takes every operation in every way. */
const rotation: readonly FaultMode[] = ['EIO once', 'EIO for ever', 'EIO once', 'disk full', 'EIO once', 'read-only']

test.each(sections.map(({ name }, index) => ({ name, index })))('operations fail: $name', async ({ index }) => {
  const stage = stages[index] as Stage
  const problems: string[] = []
  const stride = stage.section.name.includes('store') ? strides.store : strides.others
  for (let operation = 1, turn = index; operation <= stage.operationCount; operation += stride, turn++) {
    const mode = rotation[turn % rotation.length] as FaultMode
    const { fired, problems: found } = await runFaultCase({ stage, operation, mode, seed: 1 })
    await new Promise(resolve => setImmediate(resolve))
    const all = [...found, ...unhandled.splice(0).map(reason => `unhandled rejection: ${String(reason)}`)]
    if (fired === 0) all.push('the fault did not fire')
    problems.push(...all.map(problem => `operation ${operation}, ${mode}: ${problem}`))
  }
  expect(problems).toEqual([])
  expect(stage.operationCount).toBeGreaterThan(40)
})

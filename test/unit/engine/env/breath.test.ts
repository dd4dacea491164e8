/** Goal: long work gives way after its time and not before, through the environment; what it has waited for otherwise counts. */
import { expect, test } from 'vitest'
import { Breath } from '../../../../engine/env/index.ts'

test('breath', async () => {
  let now = 100
  const turns: (() => void)[] = []
  const breath = new Breath(
    { clock: { now: () => 0, monotonic: () => now }, timers: { after: () => () => undefined, soon: run => void turns.push(run) } },
    4,
  )
  const first = breath.due()
  expect(first).toBeInstanceOf(Promise)
  turns.pop()?.()
  await first
  expect(breath.due()).toBeUndefined()
  now += 3.9
  expect(breath.due()).toBeUndefined()
  breath.taken()
  now += 3.9
  expect(breath.due()).toBeUndefined()
  now += 0.2
  expect(breath.due()).toBeInstanceOf(Promise)
  expect(turns.length).toBe(1)
})

// Goal: virtual time is exact, and one seed gives one run: the same events, at the same times, with the same results.
import { expect, test } from 'vitest'
import { createSimEnvironment, describeOperation, SimRandom, SimScheduler, SimStopped } from '../../../../engine/env/index.ts'
import { VarveError } from '../../../../engine/errors.ts'
// @ts-expect-error plain JavaScript, shared with the worker thread
import { testRunners } from './test-runners.mjs'
import { text } from './worlds.ts'

/** A program with concurrent files, tasks, timers, faults, a crash and a second life; returns everything observable. */
async function trace(seed: number): Promise<string[]> {
  const lines: string[] = []
  const env = createSimEnvironment({ seed, runners: testRunners(VarveError) })
  const log = (line: string): number => lines.push(`${env.clock.monotonic().toFixed(6)} ${line}`)
  env.disk.onOperation((operation, index) => log(`${index} ${describeOperation(operation)}`))
  env.disk.addFault({ kinds: ['write'], code: 'EIO', skip: 20, partial: true })
  const executor = env.createExecutor()
  let left = 40
  const writer = async (name: string): Promise<void> => {
    const file = await env.files.open(`/${name}`, 'create')
    while (left-- > 0) {
      await file.write(text(`${name}${left}`), env.random.below(3000)).catch((error: Error) => log(error.message))
      if (env.random.chance(0.3)) await file.sync()
      if (env.random.chance(0.2)) await executor.run({ kind: 'add', input: { left, right: 1 } }).then(sum => log(`sum ${sum}`))
      if (env.random.chance(0.2)) await new Promise<void>(resolve => env.timers.after(env.random.below(10), resolve))
    }
    await file.close()
  }
  await env.drive(() => Promise.all(['a', 'b', 'c'].map(writer)))
  env.timers.after(100, () =>
    log(JSON.stringify(env.disk.crash({ names: 'subset' }), (_, value) => (value instanceof Map ? [...value] : value))),
  )
  await env.scheduler.run()
  const next = createSimEnvironment({ seed, disk: env.disk, scheduler: env.scheduler })
  for (const name of await next.drive(() => next.files.list('/'))) {
    lines.push(`${name} ${Buffer.from(env.disk.file(`/${name}`).cachedBytes()).toString('base64')}`)
  }
  return lines
}

test('same seed, same trace; another seed, another one', async () => {
  const first = await trace(11)
  expect(first.length).toBeGreaterThan(60)
  expect(await trace(11)).toEqual(first)
  expect(await trace(12)).not.toEqual(first)
})

test('pinned numbers: the generator is the same everywhere and for ever', () => {
  const random = new SimRandom(42)
  const drawn = [random.uint32(), random.uint32(), random.below(1000), random.fork().uint32()]
  expect(drawn).toEqual([1959603763, 2423114712, 512, 3022762494])
  expect(new SimRandom(42).uint32()).not.toBe(new SimRandom(43).uint32())
  expect(new SimRandom(2 ** 40 + 42).uint32()).not.toBe(new SimRandom(42).uint32())
})

test('numbers are uniform enough and stay in their bounds', () => {
  const random = new SimRandom(1)
  const counts = new Array<number>(10).fill(0)
  for (let count = 0; count < 10_000; count++) counts[random.below(10)]!++
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150)
  for (let count = 0; count < 1000; count++) expect(random.fraction()).toBeLessThan(1)
  expect(random.below(0x1_0000_0000)).toBeGreaterThanOrEqual(0)
  expect(() => random.below(1.5)).toThrow('bound')
})

test('events run in order of time; simultaneous ones by making or by seed', async () => {
  const run = async (ties: 'fifo' | 'seeded', seed: number): Promise<string> => {
    const scheduler = new SimScheduler(new SimRandom(seed), { ties })
    let order = ''
    for (const name of 'abcdef') scheduler.after(5, () => (order += name))
    scheduler.after(1, () => (order += '1'))
    scheduler.after(9, () => (order += '9'))
    scheduler.after(3, () => (order += 'never'))()
    await scheduler.run()
    expect([scheduler.nowMs, scheduler.eventCount]).toEqual([9, 8])
    return order
  }
  expect(await run('fifo', 1)).toBe('1abcdef9')
  const orders = new Set(await Promise.all([1, 2, 3, 4, 5].map(seed => run('seeded', seed))))
  expect(orders.size).toBeGreaterThan(2)
  for (const order of orders) expect([...order].sort().join('')).toBe('19abcdef')
})

test('promise reactions of any depth run before the next event', async () => {
  const scheduler = new SimScheduler(new SimRandom(1))
  const order: string[] = []
  scheduler.after(1, async () => {
    for (let depth = 0; depth < 100; depth++) await undefined
    order.push('deep')
  })
  scheduler.after(1.5, () => order.push('next'))
  await scheduler.run()
  expect(order).toEqual(['deep', 'next'])
})

test('runs stop at a time, at a condition, at a bound', async () => {
  const scheduler = new SimScheduler(new SimRandom(1))
  let ticks = 0
  const tick = (): void => {
    ticks++
    scheduler.after(10, tick)
  }
  tick()
  await scheduler.run({ untilMs: 45 })
  expect([ticks, scheduler.nowMs]).toEqual([5, 45])
  await scheduler.runFor(5)
  expect([ticks, scheduler.nowMs]).toEqual([6, 50])
  await scheduler.run({ until: () => ticks === 20 })
  expect(ticks).toBe(20)
  await expect(scheduler.run({ eventsMax: 1000 })).rejects.toThrow('bound of events')
})

test('drive answers as the work does, reports a deadlock, and stops when told', async () => {
  const env = createSimEnvironment({ seed: 1 })
  expect(await env.drive(async () => 7)).toBe(7)
  await expect(env.drive(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine')
  await expect(env.drive(() => new Promise(() => undefined))).rejects.toThrow('waits for ever')
  // Work in real time, such as loading WebAssembly, is waited for.
  expect(await env.drive(() => new Promise(resolve => setTimeout(resolve, 30, 'loaded')))).toBe('loaded')
  env.timers.after(5, () => env.disk.crash())
  await expect(env.drive(() => new Promise(() => undefined))).rejects.toBeInstanceOf(SimStopped)
})

test('clocks: wall time has skew and jumps, monotonic time goes on', async () => {
  const env = createSimEnvironment({ seed: 1, skewMs: -5000 })
  const right = createSimEnvironment({ seed: 1, scheduler: env.scheduler })
  expect(right.clock.now() - env.clock.now()).toBe(5000)
  const before = env.clock.now()
  await env.scheduler.runFor(1234.5)
  expect(env.clock.now() - before).toBe(1234)
  expect(env.clock.monotonic()).toBe(1234.5)
  env.clock.jump(-100_000)
  expect(env.clock.now() - before).toBe(1234 - 100_000)
  env.clock.skewMs = 0
  expect(env.clock.now()).toBe(right.clock.now())
  expect(env.clock.monotonic()).toBe(1234.5)
})

/** Goal: a stage runs each task once, and one that takes much longer than the others a second time where that is asked for; the first attempt that ends counts, the other is told and dropped. */
import { describe, expect, it } from 'vitest'
import { resolveSpeculation, runTasks, type Speculation } from '../../../../compute/execute/stage-tasks.ts'

interface Attempt {
  readonly task: number
  readonly cancel: AbortSignal
  resolve(output: string): void
  reject(error: unknown): void
}

/** A stage of so many tasks whose attempts are ended by hand. */
class Stage {
  readonly attempts: Attempt[] = []
  readonly dropped: string[] = []
  readonly done: Promise<string[]>
  readonly #started = new Set<() => void>()

  constructor(count: number, slots: number, speculation: Speculation | undefined) {
    this.done = runTasks<string>({
      count,
      slots,
      speculation,
      run: (task, cancel) =>
        new Promise((resolve, reject) => {
          this.attempts.push({ task, cancel, resolve, reject })
          for (const started of this.#started) started()
        }),
      drop: output => void this.dropped.push(output),
    })
    this.done.catch(() => undefined)
  }

  /** The attempt of this number, as soon as it begins. */
  async attempt(number: number): Promise<Attempt> {
    while (this.attempts.length <= number) await new Promise<void>(resolve => this.#started.add(resolve))
    return this.attempts[number] as Attempt
  }
}

async function cancelled({ cancel }: Attempt): Promise<void> {
  if (!cancel.aborted) await new Promise(resolve => cancel.addEventListener('abort', resolve, { once: true }))
}

const eager: Speculation = { quantile: 0.5, multiplier: 1, taskMsMin: 0 }

describe('a stage', () => {
  it('runs as many tasks at a time as there are slots, each once', async () => {
    const stage = new Stage(3, 2, undefined)
    expect(stage.attempts.map(({ task }) => task)).toEqual([0, 1])
    ;(await stage.attempt(1)).resolve('b')
    ;(await stage.attempt(2)).resolve('c')
    ;(await stage.attempt(0)).resolve('a')
    expect(await stage.done).toEqual(['a', 'b', 'c'])
    expect(stage.attempts.length).toBe(3)
    expect(await new Stage(0, 2, eager).done).toEqual([])
  })

  it('runs the slow one again, takes what ends first, and cancels the other', async () => {
    const stage = new Stage(3, 2, eager)
    ;(await stage.attempt(1)).resolve('b')
    ;(await stage.attempt(2)).resolve('c')
    const second = await stage.attempt(3)
    expect(second.task).toBe(0)
    second.resolve('a')
    const first = await stage.attempt(0)
    await cancelled(first)
    first.reject(new Error('cancelled'))
    expect(await stage.done).toEqual(['a', 'b', 'c'])
    expect([stage.dropped, second.cancel.aborted]).toEqual([[], false])
  })

  it('drops what the other gives all the same', async () => {
    const stage = new Stage(2, 2, eager)
    ;(await stage.attempt(1)).resolve('b')
    const second = await stage.attempt(2)
    ;(await stage.attempt(0)).resolve('a')
    await cancelled(second)
    second.resolve('a again')
    expect(await stage.done).toEqual(['a', 'b'])
    expect(stage.dropped).toEqual(['a again'])
  })

  it('fails with the first error when both attempts fail, not before', async () => {
    const stage = new Stage(2, 2, eager)
    ;(await stage.attempt(1)).resolve('b')
    const second = await stage.attempt(2)
    ;(await stage.attempt(0)).reject(new Error('first'))
    second.resolve('a')
    expect(await stage.done).toEqual(['a', 'b'])
    const failing = new Stage(2, 2, eager)
    ;(await failing.attempt(1)).resolve('b')
    ;(await failing.attempt(2)).reject(new Error('of the second'))
    ;(await failing.attempt(0)).reject(new Error('of the first'))
    await expect(failing.done).rejects.toThrow('of the second')
  })

  it('waits for enough tasks, and for the time that is asked for', async () => {
    const many = new Stage(4, 2, { ...eager, quantile: 0.75 })
    ;(await many.attempt(0)).resolve('a')
    ;(await many.attempt(1)).resolve('b')
    await many.attempt(3)
    expect(many.attempts.map(({ task }) => task)).toEqual([0, 1, 2, 3])
    ;(await many.attempt(2)).resolve('c')
    expect((await many.attempt(4)).task).toBe(3)
    for (const attempt of many.attempts) attempt.resolve('d')
    expect(await many.done).toEqual(['a', 'b', 'c', 'd'])
  })
})

it('speculation has rules by default, and refuses others by name', () => {
  expect(resolveSpeculation(undefined)).toBeUndefined()
  expect(resolveSpeculation(false)).toBeUndefined()
  expect(resolveSpeculation(true)).toEqual({ quantile: 0.75, multiplier: 1.5, taskMsMin: 1000 })
  expect(resolveSpeculation({ multiplier: 3 })).toEqual({ quantile: 0.75, multiplier: 3, taskMsMin: 1000 })
  expect(() => resolveSpeculation({ quantile: 0 })).toThrow('quantile must be above 0')
  expect(() => resolveSpeculation({ multiplier: 0.5 })).toThrow('multiplier must be at least 1')
  expect(() => resolveSpeculation({ taskMsMin: -1 })).toThrow('taskMsMin must be at least 0')
  expect(() => resolveSpeculation('yes' as never)).toThrow('speculation must be true, false or an object')
})

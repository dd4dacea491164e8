/** Goal: the queue keeps writes in order and within its bound, gives refused ones again when the engine drained, and passes other errors on. */
import { expect, test } from 'vitest'
import { VarveError } from '../../../engine/index.ts'
import { WriteQueue } from '../../../level/write-queue.ts'

/** Promises that the test settles. */
function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined
  const promise = new Promise<void>(resolve => {
    open = resolve
  })
  return { promise, open }
}

test('starts what fits, the rest in order as room comes; a write larger than the bound goes alone', async () => {
  const queue = new WriteQueue(100, () => Promise.resolve())
  const gates = [60, 40, 1, 500, 1].map(bytes => ({ bytes, ...gate() }))
  const started: number[] = []
  const written = gates.map(({ bytes, promise }, i) =>
    queue.run(bytes, () => {
      started.push(i)
      return promise
    }),
  )
  expect(started).toEqual([0, 1])
  gates[0]?.open()
  await written[0]
  expect(started).toEqual([0, 1, 2])
  gates[1]?.open()
  gates[2]?.open()
  await written[2]
  await written[1]
  expect(started).toEqual([0, 1, 2, 3])
  gates[3]?.open()
  await written[3]
  expect(started).toEqual([0, 1, 2, 3, 4])
  let isIdle = false
  const idle = queue.idle().then(() => {
    isIdle = true
  })
  await Promise.resolve()
  expect(isIdle).toBe(false)
  gates[4]?.open()
  await idle
})

test('a refused write is tried again after draining, before those that came later', async () => {
  const drained = gate()
  const queue = new WriteQueue(100, () => drained.promise)
  const done: string[] = []
  let refusals = 2
  const first = queue.run(10, async () => {
    if (refusals-- > 0) throw new VarveError('BUSY', 'later')
    done.push('first')
  })
  await Promise.resolve()
  await Promise.resolve()
  const second = queue.run(10, async () => {
    done.push('second')
  })
  expect(done).toEqual([])
  drained.open()
  await Promise.all([first, second])
  expect(done).toEqual(['first', 'second'])
  await queue.idle()
})

test('other errors reject their own write only', async () => {
  const queue = new WriteQueue(10, () => Promise.resolve())
  const failed = queue.run(10, () => Promise.reject(new VarveError('POISONED', 'no')))
  const next = queue.run(10, () => Promise.resolve())
  await expect(failed).rejects.toThrow('no')
  await expect(next).resolves.toBeUndefined()
})

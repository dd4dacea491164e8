/** Goal: acknowledgements are told in order and each once, at once while there are few, and over several turns of the event loop when there are many. */
import { expect, test } from 'vitest'
import { open, type Sent } from '../../../../index.ts'
import { Acknowledgements, COST_ALONE } from '../../../../stream/produce/acknowledgements.ts'

/** A clock that stands still and turns that come when they are told to. */
function newPlace() {
  const soon: (() => void)[] = []
  return {
    now: 0,
    turns: 0,
    clock: {
      now: () => 0,
      monotonic(): number {
        return place.now
      },
    },
    timers: { soon: (run: () => void) => void soon.push(run), after: () => () => undefined },
    /** Runs what was put off, until nothing is. */
    run(): void {
      for (let next = soon.shift(); next !== undefined; next = soon.shift()) {
        place.turns++
        next()
      }
    },
  }
}
let place = newPlace()

test('few are told at once; of many the rest comes with the next turns, in order, and what is told meanwhile comes behind it', () => {
  place = newPlace()
  const acknowledgements = new Acknowledgements(place)
  const told: string[] = []
  const tell = (name: string, count: number, cost: number): void =>
    acknowledgements.tell([count], cost, (_, from, to) => {
      for (let i = from; i < to; i++) told.push(`${name}${i}`)
    })
  tell('a', 3, COST_ALONE)
  expect(told).toEqual(['a0', 'a1', 'a2'])
  tell('b', 5000, COST_ALONE)
  const inFirstTurn = told.length
  expect(inFirstTurn).toBeLessThan(2000)
  tell('c', 1, 1)
  // One that costs more than any turn has still its turn.
  tell('d', 2, 1_000_000)
  tell('e', 1, 1)
  expect(told).toHaveLength(inFirstTurn)
  place.run()
  const numbers = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`)
  expect(told).toEqual([...numbers('a', 3), ...numbers('b', 5000), 'c0', 'd0', 'd1', 'e0'])
  expect(place.turns).toBeGreaterThan(5)
})

test('batches of one commit are told in turn, so that nobody who sent to all of them waits for the whole of one', () => {
  place = newPlace()
  const acknowledgements = new Acknowledgements(place)
  const counts = [300, 1, 1000, 64]
  const told = counts.map(() => 0)
  let ahead = 0
  acknowledgements.tell(counts, COST_ALONE, (batch, from, to) => {
    expect(from).toBe(told[batch])
    told[batch] = to
    const open = told.filter((done, index) => done < (counts[index] as number))
    if (open.length > 1) ahead = Math.max(ahead, Math.max(...open) - Math.min(...open))
  })
  place.run()
  expect(told).toEqual(counts)
  expect(ahead).toBeLessThanOrEqual(64)
})

test('a turn that has been over for long does not count any more', () => {
  place = newPlace()
  const acknowledgements = new Acknowledgements(place)
  let told = 0
  for (let i = 0; i < 100; i++) {
    acknowledgements.tell([1], 3000, () => void told++)
    place.now += 10
  }
  expect([told, place.turns]).toEqual([100, 0])
})

test('thousands of sends that one write makes durable are told over several turns, in order; so are those of a producer and of large batches', async () => {
  const db = await open('acknowledgements', { storage: 'memory' })
  const topic = db.topic<string>('t', { value: 'string' })
  const producer = topic.producer()
  const batch = Array.from({ length: 3000 }, (_, i) => `${i}`)
  const sends: (() => Promise<Sent>[])[] = [
    () => batch.map(value => topic.send(value)),
    () => batch.map(value => producer.send(value)),
    () => Array.from({ length: 5 }, () => topic.sendBatch(batch).then(sent => sent.at(-1) as Sent)),
  ]
  for (const send of sends) {
    let turn = 0
    let isDone = false
    const count = (): void => {
      turn++
      if (!isDone) setImmediate(count)
    }
    const turns = new Set<number>()
    const offsets: number[] = []
    const sent = send().map(each =>
      each.then(({ offset }) => {
        turns.add(turn)
        offsets.push(offset)
      }),
    )
    setImmediate(count)
    await Promise.all(sent)
    isDone = true
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b))
    expect(turns.size).toBeGreaterThan(2)
  }
  await db.close()
})

test('a commit without batches is told to nobody, and the turns stay bounded', () => {
  place = newPlace()
  const acknowledgements = new Acknowledgements(place)
  let told = 0
  acknowledgements.tell([], COST_ALONE, () => void (told = Number.NaN))
  acknowledgements.tell([5000], COST_ALONE, (_, from, to) => void (told += to - from))
  expect(told).toBeGreaterThan(0)
  expect(told).toBeLessThan(5000)
  place.run()
  expect(told).toBe(5000)
})

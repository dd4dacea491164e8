/** Goal: the state machine of a queue's partition agrees with a naive one over random programs, and a row read back is the same queue with its locks free. */
import { expect, test } from 'vitest'
import { SimRandom } from '../../../../engine/env/index.ts'
import { QueuePartition } from '../../../../stream/queue/queue-partition.ts'

interface Naive {
  deliveries: number
  /** Available, in `time`, from here on; a lock or a delay stands until then. */
  from: number
  locked: boolean
  state: 'open' | 'dying' | 'done'
}

test('random programs', () => {
  const deliveriesMax = 3
  for (let seed = 1; seed <= 150; seed++) {
    const random = new SimRandom(seed)
    let machine = new QueuePartition({ start: 0 })
    let dead = 0
    let trimmed = 0
    let time = 0
    const model: Naive[] = []
    const held: { offset: number; deliveries: number }[] = []
    const giveBack = (record: Naive, delay: number): void => {
      record.locked = false
      if (record.deliveries >= deliveriesMax) record.state = 'dying'
      record.from = time + delay
    }
    for (let step = 0; step < 200; step++) {
      const choice = random.below(10)
      if (choice <= 1) {
        if (machine.next < model.length) machine.track(machine.next, undefined, time, deliveriesMax)
        else {
          machine.track(model.length, undefined, time, deliveriesMax)
          model.push({ deliveries: 0, from: 0, locked: false, state: 'open' })
        }
      } else if (choice <= 4) {
        machine.expire(time, time, deliveriesMax)
        for (const record of model) if (record.state === 'open' && record.locked && record.from <= time) giveBack(record, 0)
        const acquired = machine.acquire(time, 10, 1)
        const offset = model.findIndex(({ state, locked, from }, at) => at < machine.next && state === 'open' && !locked && from <= time)
        expect(acquired?.offset ?? -1, `seed ${seed}, step ${step}`).toBe(offset)
        const record = model[offset]
        if (record === undefined || acquired === undefined) continue
        record.deliveries++
        record.locked = true
        record.from = time + 10
        expect(acquired.deliveries).toBe(record.deliveries)
        held.push({ offset, deliveries: record.deliveries })
      } else if (choice <= 7 && held.length > 0) {
        const [message] = held.splice(random.below(held.length), 1) as [{ offset: number; deliveries: number }]
        const record = model[message.offset] as Naive
        const holds = message.offset < trimmed || (record.state === 'open' && record.deliveries === message.deliveries)
        const how = random.below(3)
        const delay = random.below(2) * 7
        const told =
          how === 0
            ? machine.ack(message.offset, message.deliveries)
            : how === 1
              ? machine.release(message.offset, message.deliveries, time, delay, deliveriesMax, undefined)
              : machine.reject(message.offset, message.deliveries, undefined)
        expect(told, `seed ${seed}, step ${step}`).toBe(holds)
        if (!holds || record.state !== 'open') continue
        if (how === 0) record.state = 'done'
        else if (how === 1) giveBack(record, delay)
        else record.state = 'dying'
      } else if (choice === 8) {
        time += random.below(8)
        const dying = machine.dyingRecords(100)
        machine.buried(dying)
        dead += dying.length
        for (const { offset } of dying) {
          expect(model[offset]?.state).toBe('dying')
          ;(model[offset] as Naive).state = 'done'
        }
      } else if (random.below(16) < 2) {
        // A crash: the locks are free, the counts are kept, and what was delivered for the last time has failed.
        machine = new QueuePartition(JSON.parse(JSON.stringify(machine.row(undefined, 0))))
        held.length = 0
        machine.trim(trimmed)
        for (const [offset, record] of model.entries()) {
          if (record.state === 'done' || offset < trimmed) continue
          record.locked = false
          record.from = 0
          record.state = record.deliveries >= deliveriesMax ? 'dying' : 'open'
        }
        // A record that was rejected before its last delivery, and not buried, is delivered again.
        while (machine.next < model.length) {
          const at = machine.next
          expect(machine.track(at, undefined, time, deliveriesMax)).toBe((model[at] as Naive).state !== 'done')
        }
      } else if (random.below(8) === 0 && machine.next > trimmed) {
        trimmed += random.below(machine.next - trimmed + 1)
        machine.trim(trimmed)
        for (let offset = 0; offset < trimmed; offset++) (model[offset] as Naive).state = 'done'
      }
      expect(machine.dead).toBe(dead)
      expect(machine.inFlight).toBe(model.filter(({ state, locked }) => state === 'open' && locked).length)
    }
  }
})

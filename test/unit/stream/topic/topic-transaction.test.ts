/** Goal: what is sent in `db.transaction` is written once, with everything else or not at all, and never overtakes what was sent before. */
import { expect, test } from 'vitest'
import type { Sent } from '../../../../index.ts'
import { readAll, withTopics } from '../support.ts'

test('a body that is run again after a conflict sends once', () =>
  withTopics(1, async db => {
    const topic = db.topic<string>('t', { value: 'string' })
    const store = db.store<number, string>('s')
    let runs = 0
    await db.transaction(async tx => {
      runs++
      const read = tx.store(store).get('a')
      tx.topic(topic).send(`run ${runs}, read ${read}`)
      if (runs < 3) await store.put('a', runs)
      await Promise.resolve()
      tx.store(store).put('b', runs)
    })
    expect(runs).toBe(3)
    expect((await readAll(topic.consume({ until: 'end' }))).map(({ value }) => value)).toEqual(['run 3, read 2'])
    expect(store.get('b')).toBe(3)
    const failing = db.transaction(async tx => {
      tx.topic(topic).send('never')
      await Promise.resolve()
      throw new RangeError('no')
    })
    await expect(failing).rejects.toThrow('no')
    await db.transaction(tx => {
      tx.topic(topic).send('never')
      tx.abort()
    })
    expect(topic.partition(0).endOffset).toBe(1)
  }))

test('when earlier sends wait for room, a transaction is refused with BUSY and writes nothing; later it lies behind them', () =>
  withTopics(
    2,
    async db => {
      const topic = db.topic<string>('t', { value: 'string' })
      const store = db.store<number, string>('s')
      const sent: Promise<Sent>[] = []
      for (let turn = 0; turn < 40; turn++) {
        for (let i = 0; i < 5; i++) sent.push(topic.send(`${turn * 5 + i}`.padEnd(1000, '.')))
        await Promise.resolve()
      }
      const refused = db.transaction(tx => {
        tx.store(store).put('a', 1)
        tx.topic(topic).send('last')
      })
      await expect(refused).rejects.toMatchObject({ code: 'BUSY', details: { limit: 'tailBytesMax' } })
      expect(store.get('a')).toBeUndefined()
      await Promise.all(sent)
      await db.transaction(tx => {
        tx.topic(topic).send('last')
      })
      const values = (await readAll(topic.consume({ until: 'end' }))).map(({ value }) => Number.parseInt(value as string, 10))
      expect(values).toEqual([...Array.from({ length: 200 }, (_, i) => i), Number.NaN])
    },
    { tailBytesMax: 64 * 1024 },
  ))

test('its verbs are dead when it has ended', () =>
  withTopics(3, async db => {
    const topic = db.topic<string>('t', { value: 'string' })
    let verbs: { send(value: string): void } | undefined
    await db.transaction(tx => {
      verbs = tx.topic(topic)
      verbs.send('a')
    })
    expect(() => verbs?.send('b')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    await topic.send('c')
    expect((await readAll(topic.consume({ until: 'end' }))).map(({ value }) => value)).toEqual(['a', 'c'])
  }))

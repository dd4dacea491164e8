/** Goal: the index of keys tells the version of every key exactly, whoever appended, and appends that expect another version are refused whole. */
import { expect, test } from 'vitest'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, withTopics } from '../support.ts'

const conflict = (actual: number, expected: number) =>
  expect.objectContaining({ code: 'CONFLICT', details: expect.objectContaining({ actual, expected }) })

test('an event stream: append with the expected version, read it back, conflict with whoever was first', () =>
  withTopics(1, async db => {
    const accounts = db.topic<{ add: number }>('accounts', { partitions: 4, keyIndex: true })
    expect(accounts.version('ada')).toBe(-1)
    expect(accounts.latest('ada')).toBeUndefined()
    const first = await accounts.send({ key: 'ada', value: { add: 1 } }, { expectedVersion: -1 })
    await expect(accounts.send({ key: 'ada', value: { add: 2 } }, { expectedVersion: -1 })).rejects.toEqual(conflict(first.offset, -1))
    const both = await accounts.sendBatch(
      [
        { key: 'ada', value: { add: 3 } },
        { key: 'ada', value: { add: 4 } },
      ],
      { expectedVersion: first.offset },
    )
    expect(accounts.version('ada')).toBe(both[1]?.offset)
    await Promise.all(['bob', 'ad', 'ada\0', 'adam'].map(key => accounts.send({ key, value: { add: 9 } })))
    expect([...accounts.readKey('ada')].map(({ key, value, offset }) => [key, value, offset])).toEqual([
      ['ada', { add: 1 }, first.offset],
      ['ada', { add: 3 }, both[0]?.offset],
      ['ada', { add: 4 }, both[1]?.offset],
    ])
    expect([...accounts.readKey('ada', { reverse: true, limit: 2 })].map(({ value }) => value?.add)).toEqual([4, 3])
    expect([...accounts.readKey('ada', { from: first.offset + 1 })].map(({ value }) => value?.add)).toEqual([3, 4])
    expect([...accounts.readKey('ada\0')].map(({ value }) => value?.add)).toEqual([9])
    await accounts.send({ key: 'ada', value: null })
    expect(accounts.latest('ada')).toMatchObject({ key: 'ada', value: null })
    expect(() => db.topic('plain').version('a')).toThrow(TypeError)
    await expect(accounts.send({ key: 'ada', value: null }, { expectedVersion: 1.5 })).rejects.toThrow(RangeError)
    await expect(accounts.send({ value: { add: 1 } }, { expectedVersion: -1 })).rejects.toThrow('key')
    await expect(accounts.addPartitions(5)).rejects.toThrow('keyIndex')
    await expect(accounts.send({ key: 'k'.repeat(20_000), value: null })).rejects.toMatchObject({ code: 'TOO_LARGE' })
  }))

test('producers append with the expected version, in order with what they gather, and named ones resend without a conflict', () =>
  withTopics(9, async db => {
    const topic = db.topic<number>('t', { partitions: 3, keyIndex: true })
    for (const options of [{ lingerMs: 1000 }, { idempotent: true, lingerMs: 1000 }, { id: 'mine', lingerMs: 1000 }]) {
      const key = `k-${JSON.stringify(options)}`
      const producer = db.producer(options)
      const gathered = producer.send(topic, { key, value: 1 })
      // The gathered record is appended first, so there is a version already.
      await expect(producer.send(topic, { key, value: 2 }, { expectedVersion: -1 })).rejects.toMatchObject({ code: 'CONFLICT' })
      const { offset } = await gathered
      const [first, second] = await producer.sendBatch(
        topic,
        [
          { key, value: 3 },
          { key, value: 4 },
        ],
        { expectedVersion: offset },
      )
      expect([first?.offset, second?.offset, first?.duplicate]).toEqual([offset + 1, offset + 2, false])
      await expect(producer.send(topic, { key, value: 5 }, { expectedVersion: offset })).rejects.toEqual(conflict(offset + 2, offset))
      await producer.send(topic, { key, value: 6 })
      expect([...topic.readKey(key)].map(({ value }) => value)).toEqual([1, 3, 4, 6])
      await expect(
        producer.sendBatch(
          topic,
          [
            { key, value: 1 },
            { key: 'other', value: 1 },
          ],
          { expectedVersion: -1 },
        ),
      ).rejects.toThrow('expectedVersion needs records of one')
      expect(await producer.sendBatch(topic, [], { expectedVersion: 7 })).toEqual([])
      await producer.close()
    }
    const named = topic.producer({ id: 'named' })
    const sent = await named.send({ key: 'n', value: 1 }, { sequence: 10, expectedVersion: -1 })
    expect(await named.send({ key: 'n', value: 1 }, { sequence: 10, expectedVersion: -1 })).toMatchObject({
      offset: sent.offset,
      duplicate: true,
    })
    await expect(named.send({ key: 'n', value: 2 }, { expectedVersion: -1 })).rejects.toMatchObject({ code: 'CONFLICT' })
    await named.send({ key: 'n', value: 2 }, { expectedVersion: sent.offset })
    expect(named.lastSequence()).toBe(11)
    const transactional = db.producer({ transactionalId: 'tx' })
    await expect(transactional.send(topic, { key: 'n', value: 3 }, { expectedVersion: 0 })).rejects.toThrow('begin()')
    await expect(db.producer().send(db.topic('plain'), { key: 'n', value: 3 }, { expectedVersion: 0 })).rejects.toThrow('keyIndex')
  }))

test('of writers who have read the same version in one turn, one is first', () =>
  withTopics(2, async db => {
    const topic = db.topic<number>('t', { keyIndex: true })
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => topic.send({ key: 'k', value: n }, { expectedVersion: topic.version('k') })),
    )
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', ...Array(9).fill('rejected')])
    // Sends that gather are before it, whoever made them.
    const plain = topic.send({ key: 'k', value: 10 })
    await expect(topic.send({ key: 'k', value: 11 }, { expectedVersion: 0 })).rejects.toEqual(conflict(1, 0))
    expect((await plain).offset).toBe(1)
  }))

test('within a transaction the version is checked in the turn of the commit, and all is refused', () =>
  withTopics(3, async db => {
    const topic = db.topic<number>('t', { keyIndex: true })
    const store = db.store<number, string>('s')
    await db.transaction(tx => {
      tx.topic(topic).send({ key: 'a', value: 1 }, { expectedVersion: -1 })
      tx.topic(topic).sendBatch(
        [
          { key: 'a', value: 2 },
          { key: 'a', value: 3 },
        ],
        { expectedVersion: topic.version('a') },
      )
      tx.store(store).put('a', 3)
    })
    expect([...topic.readKey('a')].map(({ value }) => value)).toEqual([1, 2, 3])
    await expect(
      db.transaction(async tx => {
        tx.topic(topic).send({ key: 'a', value: 4 }, { expectedVersion: topic.version('a') })
        tx.store(store).put('a', 4)
        await topic.send({ key: 'a', value: 99 })
      }),
    ).rejects.toEqual(conflict(3, 2))
    expect(store.get('a')).toBe(3)
    expect(topic.latest('a')?.value).toBe(99)
  }))

test('transactions of producers: what is open holds the version, what was aborted never was', () =>
  withTopics(4, async db => {
    const topic = db.topic<number>('t', { keyIndex: true })
    await topic.send({ key: 'a', value: 1 })
    const producer = db.producer({ transactionalId: 'p' })
    const tx = await producer.begin()
    await tx.send(topic, { key: 'a', value: 2 })
    expect(topic.version('a')).toBe(1)
    expect(topic.latest('a')?.value).toBe(1)
    await expect(topic.send({ key: 'a', value: 3 }, { expectedVersion: 0 })).rejects.toEqual(conflict(1, 0))
    await tx.abort()
    expect(topic.version('a')).toBe(0)
    await topic.send({ key: 'a', value: 3 }, { expectedVersion: 0 })
    const next = await producer.begin()
    await next.send(topic, { key: 'a', value: 4 })
    await next.commit()
    expect([...topic.readKey('a')].map(({ value }) => value)).toEqual([1, 3, 4])
  }))

test('switched on for a topic with records it is built first, switched off it is gone, on again it is built anew', () =>
  withTopics(5, async db => {
    const topic = db.topic<number>('t', { partitions: 2 })
    const many = Array.from({ length: 60_000 }, (_, n) => ({ key: `k${n % 100}`, value: n }))
    for (let at = 0; at < many.length; at += 10_000) await topic.sendBatch(many.slice(at, at + 10_000))
    const altered = topic.alter({ keyIndex: true })
    expect(() => topic.version('k7')).toThrow(expect.objectContaining({ code: 'NOT_READY' }))
    const waits = topic.send({ key: 'k7', value: -1 }, { expectedVersion: 0 })
    await expect(waits).rejects.toMatchObject({ code: 'CONFLICT' })
    await altered
    await topic.ready()
    expect(topic.latest('k7')?.value).toBe(59_907)
    expect([...topic.readKey('k7')].map(({ value }) => value)).toEqual(Array.from({ length: 600 }, (_, n) => n * 100 + 7))
    expect([...topic.readKey('k7', { reverse: true })]).toHaveLength(600)
    await topic.alter({ keyIndex: false })
    expect(db.storeNames({ internal: true })).toEqual([])
    expect(() => topic.latest('k7')).toThrow(TypeError)
    await topic.alter({ keyIndex: true })
    await topic.ready()
    await topic.send({ key: 'k7', value: 1 }, { expectedVersion: topic.version('k7') })
    await db.deleteTopic('t')
    expect(db.storeNames({ internal: true })).toEqual([])
  }))

test('retention and compaction: a key without records has no version, and the index is begun anew when most of it is stale', () =>
  withTopics(6, async (db, environment) => {
    const topic = db.topic<string>('t', { keyIndex: true, cleanup: 'compact,delete', value: 'string', deleteRetentionMs: 0 })
    await topic.sendBatch(Array.from({ length: 30_000 }, (_, n) => ({ key: `k${n % 5}`, value: `${n}` })))
    const gone = await topic.send({ key: 'k0', value: null })
    await topic.ready()
    await topic.compact()
    expect([...topic.readKey('k1')].map(({ value }) => value)).toEqual(['29996'])
    expect(topic.version('k0')).toBe(gone.offset)
    await topic.send({ key: 'z', value: 'z' })
    await topic.compact()
    await topic.send({ key: 'z', value: 'z' })
    await topic.compact()
    expect([topic.version('k0'), topic.latest('k0'), topic.latest('k4')?.value]).toEqual([-1, undefined, '29999'])
    for (let i = 0; i < 50; i++) {
      await topic.send({ key: 'z', value: `${i}` })
      await new Promise<void>(resolve => void environment.timers.after(5, resolve))
    }
    expect(db.storeNames({ internal: true })).toEqual([expect.stringMatching(/^__keys-\d+-1$/)])
    expect([topic.version('k0'), topic.latest('k4')?.value, topic.latest('z')?.value]).toEqual([-1, '29999', '49'])
    await topic.deleteRecords(0, 30_000)
    expect([topic.version('k4'), topic.latest('k4'), [...topic.readKey('k4')]]).toEqual([-1, undefined, []])
    await topic.send({ key: 'k4', value: 'again' }, { expectedVersion: -1 })
  }))

test('when the writer has failed, reads by key tell what is durable, indexed or not', async () => {
  const environment = newEnvironment(7)
  await environment.drive(async () => {
    const db = await openTopics(environment)
    const topic = db.topic<number>('t', { keyIndex: true })
    await topic.sendBatch([1, 2].map(value => ({ key: 'a', value })))
    await new Promise<void>(resolve => void environment.timers.after(100, resolve))
    await topic.sendBatch([3, 4].map(value => ({ key: 'a', value })))
    expect(topic.version('a')).toBe(3)
    environment.disk.addFault({ path: 'commit-', kinds: ['write'], code: 'EIO', times: 1 })
    const lost = topic.send({ key: 'a', value: 5 }, { expectedVersion: 3 })
    expect(topic.stats().keyIndex).toEqual({ entries: 4, behind: 0 })
    await expect(lost).rejects.toMatchObject({ code: 'POISONED' })
    expect([topic.version('a'), topic.version('b'), topic.latest('a')?.value]).toEqual([3, -1, 4])
    expect([...topic.readKey('a')].map(({ value }) => value)).toEqual([1, 2, 3, 4])
    expect([...topic.readKey('a', { reverse: true })].map(({ value }) => value)).toEqual([4, 3, 2, 1])
    expect([...topic.readKey('a', { from: 1 })].map(({ value }) => value)).toEqual([2, 3, 4])
    await db.close().catch(() => undefined)
  })
})

test('switched off and on in one turn it is a new one', () =>
  withTopics(8, async db => {
    const topic = db.topic<number>('t', { keyIndex: true })
    await topic.send({ key: 'a', value: 1 })
    const off = topic.alter({ keyIndex: false })
    const on = topic.alter({ keyIndex: true })
    await Promise.all([off, on])
    await topic.ready()
    expect(topic.latest('a')?.value).toBe(1)
    await topic.send({ key: 'a', value: 2 }, { expectedVersion: 0 })
    expect(topic.version('a')).toBe(1)
  }))

test.each([1, 2, 3, 4])('random programs over crashes: versions and streams are those of the log (seed %d)', async seed => {
  let environment = newEnvironment(seed)
  const { random } = environment
  for (let life = 0; life < 4; life++) {
    if (life > 0) environment = newEnvironment(seed * 100 + life, environment.disk)
    await environment.drive(async () => {
      const db = await openTopics(environment)
      const topic = db.topic<number>('t', { keyIndex: true, partitions: 2 })
      await topic.ready()
      const model = new Map<string, { partition: number; offset: number; value: number }[]>()
      for await (const { records } of topic.consume({ until: 'end' }))
        for (const { partition, offset, key, value } of records)
          model.set(key as string, [...(model.get(key as string) ?? []), { partition, offset, value: value as number }])
      const compare = (): void => {
        for (let k = 0; k < 8; k++) {
          const expected = model.get(`k${k}`) ?? []
          expect([...topic.readKey(`k${k}`)].map(({ partition, offset, value }) => ({ partition, offset, value }))).toEqual(expected)
          expect(topic.version(`k${k}`)).toBe(expected.at(-1)?.offset ?? -1)
        }
      }
      compare()
      for (let step = 0; step < 15; step++) {
        const key = `k${random.below(8)}`
        const values = Array.from({ length: 1 + random.below(4) }, () => random.uint32())
        const expectedVersion = random.below(3) === 0 ? random.below(50) - 1 : topic.version(key)
        const condition = random.below(2) === 0 ? undefined : { expectedVersion }
        const actual = model.get(key)?.at(-1)?.offset ?? -1
        const sending = topic.sendBatch(
          values.map(value => ({ key, value })),
          condition,
        )
        if (condition !== undefined && expectedVersion !== actual) await expect(sending).rejects.toMatchObject({ code: 'CONFLICT' })
        else {
          const sent = await sending
          model.set(key, [
            ...(model.get(key) ?? []),
            ...sent.map(({ partition, offset }, i) => ({ partition, offset, value: values[i] as number })),
          ])
        }
        if (random.below(4) === 0) compare()
        if (random.below(10) === 0) await db.seal()
      }
      if (random.below(2) === 0) environment.disk.crash()
      else await db.close()
    })
  }
})

test.each([1, 2, 3, 4])(
  'random programs with tombstones, expiry, transactions, compaction and trims: versions are those of the log (seed %d)',
  seed =>
    withTopics(seed, async (db, environment) => {
      const { random } = environment
      const topic = db.topic<string>('t', { keyIndex: true, cleanup: 'compact', value: 'string', deleteRetentionMs: 0 })
      const producer = db.producer({ transactionalId: 'p' })
      const records = () =>
        Array.from({ length: 1 + random.below(5) }, () => {
          const key = `k${random.below(6)}`
          const kind = random.below(4)
          return kind === 0 ? { key, value: null } : kind === 1 ? { key, value: 'short', ttlMs: random.below(50) } : { key, value: 'x' }
        })
      for (let step = 0; step < 60; step++) {
        const dice = random.below(10)
        if (dice < 5) await topic.sendBatch(records())
        else if (dice < 7) {
          const tx = await producer.begin()
          await tx.sendBatch(topic, records())
          if (random.below(2) === 0) await tx.commit()
          else await tx.abort()
        } else if (dice < 9) await topic.compact()
        else if (step > 40) await topic.deleteRecords(0, random.below(topic.partition(0).highWatermark))
        else await new Promise<void>(resolve => void environment.timers.after(20, resolve))
        const newest = new Map<string, number>()
        const offsets = new Map<string, number[]>()
        for await (const { records: read } of topic.consume({ until: 'end', expired: 'include' }))
          for (const { key, offset } of read) {
            newest.set(key as string, offset)
            offsets.set(key as string, [...(offsets.get(key as string) ?? []), offset])
          }
        for (let k = 0; k < 6; k++) {
          expect([step, k, topic.version(`k${k}`)]).toEqual([step, k, newest.get(`k${k}`) ?? -1])
          expect([...topic.readKey(`k${k}`, { expired: 'include' })].map(({ offset }) => offset)).toEqual(offsets.get(`k${k}`) ?? [])
        }
      }
    }),
)

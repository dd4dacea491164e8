/**
 * Goal: compaction keeps what it must and nothing that it must not when a partition has transactions (committed, aborted, open), their markers, tombstones with
 * horizons, and producers whose batches may be sent again: whatever the lags, however often it runs, over crashes and reopenings, held against a plain list.
 *
 * - Committed readers see, in order and as it was, no aborted record, nothing at or behind the last stable offset, and at least the newest committed record of each key;
 *   of tombstones until their horizon. A reader that never falls further behind than the delete retention ends with the same content as one that saw everything.
 * - Uncommitted readers see at least that, and all of what is open. Young records are all there.
 * - One of a producer's last five batches is answered with its old offsets, and the next sequence is taken.
 */
import { expect, test } from 'vitest'
import { isControlBatch } from '../../../../engine/batch/record-batch.ts'
import type { Database, Producer, ProducerEpoch, ProducerTransaction, Topic } from '../../../../index.ts'
import { newEnvironment } from '../../../probes/support.ts'
import { openTopics, readAll, sleep } from '../support.ts'

/** Of a batch, or of a transaction, whose records share it. */
interface Fate {
  state: 'open' | 'committed' | 'aborted'
  readonly isTransaction?: boolean
}

interface Written {
  readonly offset: number
  readonly key: string
  readonly value: string | null
  readonly fate: Fate
  readonly time: number
}

/** A batch of the idempotent producer. */
interface Batch {
  readonly sequence: number
  readonly baseOffset: number
  readonly records: readonly { readonly key: string; readonly value: string | null }[]
}

class World {
  readonly written: Written[] = []
  readonly batches: Batch[] = []
  identity: ProducerEpoch | undefined
  nextSequence = 0
  /** What a reader that goes on from where it was has made of the topic. */
  readonly folded = new Map<string, string>()
  foldedTo = 0
  foldedAt = 0
}

const committedOf = (written: readonly Written[], below: number): Written[] =>
  written.filter(({ fate, offset }) => fate.state === 'committed' && offset < below)

function finalOf(written: readonly Written[]): Map<string, Written> {
  return new Map(written.map(record => [record.key, record]))
}

interface Limits {
  readonly lagMsMin: number
  readonly deleteRetentionMs: number
}

async function check(topic: Topic<string>, { written }: World, now: number, { lagMsMin, deleteRetentionMs }: Limits): Promise<void> {
  const { lastStableOffset } = topic.partition(0)
  const byOffset = new Map(written.map(record => [record.offset, record]))
  const open = written.filter(({ fate }) => fate.state === 'open')
  expect(lastStableOffset).toBeLessThanOrEqual(open[0]?.offset ?? Number.POSITIVE_INFINITY)
  const wrong: unknown[] = []
  for (const isolation of ['read_committed', 'read_uncommitted'] as const) {
    const found = await readAll(topic.consume({ until: 'end', isolation }))
    const offsets = new Set(found.map(({ offset }) => offset))
    let last = -1
    for (const { offset, key, value } of found) {
      const original = byOffset.get(offset)
      if (original?.key !== key || original.value !== value) wrong.push([isolation, 'not what was sent', offset, key, value])
      if (offset <= last) wrong.push([isolation, 'out of order', offset])
      last = offset
      if (isolation === 'read_uncommitted') continue
      if (original?.fate.state !== 'committed') wrong.push([isolation, 'not committed', offset])
      if (offset >= lastStableOffset) wrong.push([isolation, 'behind the last stable offset', offset])
    }
    const owed = committedOf(written, isolation === 'read_committed' ? lastStableOffset : Number.POSITIVE_INFINITY)
    const final = finalOf(owed)
    for (const record of owed) {
      if (offsets.has(record.offset)) continue
      if (now - record.time < lagMsMin) wrong.push([isolation, 'taken before its lag', record])
      if (record.offset >= lastStableOffset) wrong.push([isolation, 'taken behind the last stable offset', record])
      const isFinal = final.get(record.key) === record
      if (isFinal && (record.value !== null || now - record.time < deleteRetentionMs))
        wrong.push([isolation, 'a final record is gone', record])
    }
    if (isolation === 'read_uncommitted')
      for (const record of open) if (!offsets.has(record.offset)) wrong.push(['an open record is gone', record])
  }
  expect(wrong).toEqual([])
}

/** Reads on, some batches or to the end, and folds. */
async function fold(topic: Topic<string>, world: World, now: number, batches: number): Promise<void> {
  const consumer = topic.consume({ from: { offset: world.foldedTo }, until: 'end', maxRecords: 20 })
  for await (const { records, nextOffset } of consumer) {
    for (const { key, value } of records) {
      if (value === null) world.folded.delete(key as string)
      else world.folded.set(key as string, value)
    }
    world.foldedTo = nextOffset
    if (--batches === 0) return
  }
  world.foldedTo = topic.partition(0).lastStableOffset
  world.foldedAt = now
  const expected = [...finalOf(committedOf(world.written, world.foldedTo))].filter(([, { value }]) => value !== null)
  expect([...world.folded].sort()).toEqual(expected.map(([key, { value }]) => [key, value as string] as [string, string]).sort())
}

async function sendAgain(db: Database, topic: Topic<string>, world: World): Promise<void> {
  if (world.identity === undefined) return
  const producer = db.producer({ identity: world.identity })
  for (const { sequence, baseOffset, records } of world.batches.slice(-5))
    expect(await producer.appendBatch(topic, 0, records, { sequence })).toMatchObject({ duplicate: true, baseOffset })
  await producer.close()
}

test.each([1, 2, 3, 4, 5])('random transactions, tombstones, producers, rounds, crashes (seed %d)', async seed => {
  let environment = newEnvironment(seed)
  const { random } = environment
  const limits: Limits = { lagMsMin: random.below(2) * 20_000, deleteRetentionMs: 60_000 + random.below(3) * 60_000 }
  const options = {
    cleanup: 'compact' as const,
    value: 'string' as const,
    dirtyRatioMin: random.below(3) / 4,
    compactionLagMsMin: limits.lagMsMin,
    deleteRetentionMs: limits.deleteRetentionMs,
  }
  const world = new World()
  const draw = (): { key: string; value: string | null } => ({
    key: `k${random.below(10)}`,
    value: random.below(4) === 0 ? null : `${random.uint32()}`.padEnd(20 + random.below(80)),
  })
  const note = (base: number, records: readonly { key: string; value: string | null }[], fate: Fate, time: number): void => {
    for (const [i, record] of records.entries()) world.written.push({ offset: base + i, ...record, fate, time })
    world.written.sort((a, b) => a.offset - b.offset)
  }
  const ended = { committed: 0, aborted: 0, open: 0 }
  for (let life = 0; life < 3; life++) {
    const isKilled = random.below(2) === 0
    if (life > 0) environment = newEnvironment(seed * 100 + life, environment.disk)
    await environment.drive(async () => {
      environment.clock.jump(life * 10_000_000)
      const db = await openTopics(environment, { retentionCheckMs: 5000 })
      const topic = db.topic<string | null>('t', options) as Topic<string>
      const now = (): number => environment.clock.now()
      // What was open when the process before ended is aborted.
      for (const { fate } of world.written) if (fate.state === 'open') fate.state = 'aborted'
      const transactional = [0, 1].map(n => db.producer({ transactionalId: `x${n}`, transactionTimeoutMs: 15 * 60_000 }))
      const open: { readonly tx: ProducerTransaction; readonly fate: Fate; readonly producer: Producer }[] = []
      await sendAgain(db, topic, world)
      const idempotent = db.producer(world.identity === undefined ? { idempotent: true } : { identity: world.identity })
      world.foldedAt = now()
      for (let step = 0; step < 40; step++) {
        const what = random.below(14)
        const records = Array.from({ length: 1 + random.below(12) }, draw)
        if (what < 3) {
          const [first] = await topic.sendBatch(records)
          note(first?.offset as number, records, { state: 'committed' }, now())
        } else if (what < 5) {
          const { baseOffset } = await idempotent.appendBatch(topic, 0, records, { sequence: world.nextSequence })
          world.identity = idempotent.identity
          world.batches.push({ sequence: world.nextSequence, baseOffset, records })
          world.nextSequence += records.length
          note(baseOffset, records, { state: 'committed' }, now())
        } else if (what < 7 && open.length < transactional.length) {
          const producer = transactional.find(each => !open.some(other => other.producer === each)) as Producer
          const tx = await producer.begin()
          const fate: Fate = { state: 'open', isTransaction: true }
          open.push({ tx, fate, producer })
          const sent = await tx.sendBatch(topic, records)
          note(sent[0]?.offset as number, records, fate, now())
        } else if (what < 8 && open.length > 0) {
          const { tx, fate } = open[random.below(open.length)] as (typeof open)[number]
          const sent = await tx.sendBatch(topic, records)
          note(sent[0]?.offset as number, records, fate, now())
        } else if (what < 10 && open.length > 0) {
          const [{ tx, fate }] = open.splice(random.below(open.length), 1) as [(typeof open)[number]]
          if (random.below(5) < 3) {
            await tx.commit()
            fate.state = 'committed'
          } else {
            await tx.abort()
            fate.state = 'aborted'
          }
          ended[fate.state]++
        } else if (what === 10) await db.seal()
        else if (what === 11) await topic.compact()
        else if (what === 12) await db.consolidate()
        else await sleep(environment, random.below(25_000))
        await check(topic, world, now(), limits)
        const isLate = now() - world.foldedAt > limits.deleteRetentionMs - 30_000
        if (isLate || random.below(3) === 0) await fold(topic, world, now(), isLate ? Number.POSITIVE_INFINITY : 1 + random.below(4))
      }
      await sendAgain(db, topic, world)
      if (isKilled) {
        topic.compact().catch(() => undefined)
        await sleep(environment, random.below(5))
        environment.disk.crash()
      } else await db.close()
      // A closed database has aborted what was open; its readers begin anew.
      world.folded.clear()
      world.foldedTo = 0
    })
  }
  expect(ended.committed + ended.aborted).toBeGreaterThan(3)

  // When all is quiet and old, nothing is left but the newest value of each key.
  environment = newEnvironment(seed * 100 + 99, environment.disk)
  await environment.drive(async () => {
    environment.clock.jump(50_000_000)
    const db = await openTopics(environment)
    const topic = db.topic<string>('t')
    for (let round = 0; round < 3; round++) {
      await topic.send({ key: `k${round}`, value: 'quiet' })
      await db.seal()
      await topic.compact()
      await sleep(environment, limits.deleteRetentionMs + limits.lagMsMin + 1)
    }
    for (const { fate } of world.written) if (fate.state === 'open') fate.state = 'aborted'
    await topic.compact()
    const values = new Map([...finalOf(committedOf(world.written, Number.POSITIVE_INFINITY))].map(([key, { value }]) => [key, value]))
    for (let round = 0; round < 3; round++) values.set(`k${round}`, 'quiet')
    const expected = [...values].filter(([, value]) => value !== null).sort()
    for (const isolation of ['read_committed', 'read_uncommitted'] as const) {
      const found = await readAll(topic.consume({ until: 'end', isolation }))
      expect(found.map(({ key, value }) => [key, value]).sort()).toEqual(expected)
    }
    let markers = 0
    const log = topic.partition(0)
    for (let offset = log.startOffset; offset < log.highWatermark; ) {
      const { bytes, positions, nextOffset } = log.read(offset)
      markers += positions.filter(position => isControlBatch(bytes, position)).length
      offset = nextOffset
    }
    // One of each transactional producer may stand for its epoch, the others have records that are left.
    const left = [...finalOf(committedOf(world.written, Number.POSITIVE_INFINITY)).values()]
    const transactions = new Set(left.filter(({ value, fate }) => value !== null && fate.isTransaction === true).map(({ fate }) => fate))
    expect(markers).toBeLessThanOrEqual(2 + transactions.size)
    await sendAgain(db, topic, world)
    await db.close()
  })
})

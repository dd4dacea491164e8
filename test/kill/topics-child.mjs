/**
 * The process that is killed while topics are in use: opens the folder from compiled code, sends to the topic `in`, and processes it by three groups, each
 * with two members and a recipe of its own (`least`, `most`, `exactly`; the last one sends a record to `out` for each that it takes).
 *
 * What its clients do it says line by line on its standard output, as events of a history (test/support/history/history.ts), synchronously, so that what was
 * said survives the kill; `{"ready":true}` when it begins, `{"complaint":…}` for what must not fail. Arguments: folder, seed, number of the first operation.
 */
import { writeSync } from 'node:fs'
import { isVarveError, open } from '../../lib/index.js'

const [folder = '', seedText = '1', firstText = '0', fault = ''] = process.argv.slice(2)
let state = Number(seedText) >>> 0
let operations = Number(firstText)
/** Values are unique in the history, since operations are. */
const life = firstText

/** @param {number} bound */
function below(bound) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * bound)
}

/** @param {unknown} line */
function say(line) {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at)
}

/** @param {string} name @param {any} call */
function invoke(name, call) {
  const operation = operations++
  say({ type: 'invoke', operation, process: name, time: Date.now(), call })
  return {
    operation,
    /** @param {any} [result] */
    ok: result => say({ type: 'ok', operation, time: Date.now(), ...(result === undefined ? {} : { result }) }),
    /** @param {any} [result] */
    fail: result => say({ type: 'fail', operation, time: Date.now(), ...(result === undefined ? {} : { result }) }),
  }
}

/** @param {unknown} error */
function complain(error) {
  say({ complaint: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}

/** @param {unknown} error */
const isFenced = error => ['FENCED_MEMBER', 'UNKNOWN_MEMBER', 'NOT_ASSIGNED'].some(code => isVarveError(error, /** @type {any} */ (code)))

process.on('unhandledRejection', complain)

const db = await open(folder, {
  commitLogFileBytesFirst: 32 * 1024,
  commitLogFileBytes: 128 * 1024,
  frameBytesMax: 32 * 1024,
  ownSegmentBytes: 64 * 1024,
})
/** @type {import('../../dist/index.js').Topic<string>} */
const input = db.topic('in', { partitions: 4, value: 'string' })
/** @type {import('../../dist/index.js').Topic<string>} */
const output = db.topic('out', { partitions: 2, value: 'string' })
await Promise.all([input.ready(), output.ready()])
say({ ready: true })

const turn = () => new Promise(resolve => setTimeout(resolve, below(3)))

/** @param {string} name */
async function produce(name) {
  for (let n = 0; ; n++) {
    const under = []
    for (let count = 1 + below(8); count > 0; count--) {
      const value = `${life}.${name}.${operations}`
      const sent = invoke(name, { kind: 'send', value })
      under.push(
        input.send({ value, key: `k${below(50)}` }).then(({ partition, offset }) => sent.ok({ partition: `in/${partition}`, offset })),
      )
    }
    await Promise.all(under)
    if (n % 4 === 0) await turn()
  }
}

/** @param {string} group @param {number} seat */
async function consume(group, seat) {
  const name = `${group}-${life}-${seat}`
  invoke(name, { kind: 'subscribe', topics: ['in'] }).ok()
  /** @param {readonly { topic: string, partition: number }[]} places */
  const names = places => places.map(({ topic, partition }) => `${topic}/${partition}`)
  const consumer = input.consume({
    group,
    maxRecords: 20,
    onAssigned: places => {
      invoke(name, { kind: 'rebalance', revoked: [], assigned: names(places) }).ok()
      for (const place of places)
        invoke(name, { kind: 'seek', partition: `${place.topic}/${place.partition}`, offset: consumer.position(place) }).ok()
    },
    onRevoked: places => invoke(name, { kind: 'rebalance', revoked: names(places), assigned: [] }).ok(),
  })
  for (;;) {
    const poll = invoke(name, { kind: 'poll', isolation: 'committed', group })
    const batch = await consumer.poll()
    if (batch === undefined) return
    /** @type {[number, string | null][]} */
    const records = batch.records.map(({ offset, value }) => [offset, value])
    const result = { records: { [`in/${batch.partition}`]: records } }
    if (group === 'least' || (group === 'most' && fault === 'broken')) {
      if (below(4) === 0) await turn()
      poll.ok(result)
      await batch.commit().catch(error => isFenced(error) || complain(error))
    } else if (group === 'most') {
      try {
        await batch.commit()
      } catch (error) {
        if (!isFenced(error)) complain(error)
        poll.fail(result)
        continue
      }
      if (below(4) === 0) await turn()
      poll.ok(result)
    } else await exactly(name, consumer, batch, poll, result)
  }
}

/**
 * @param {string} name
 * @param {import('../../dist/index.js').GroupConsumer<string>} consumer
 * @param {import('../../dist/index.js').ConsumedBatch<string>} batch
 * @param {ReturnType<typeof invoke>} poll
 * @param {{ records: Record<string, [number, string | null][]> }} result
 */
async function exactly(name, consumer, batch, poll, result) {
  const transaction = `${name}:${poll.operation}`
  poll.ok({ ...result, transaction })
  const sends = batch.records.map(record => {
    const value = `${life}.${name}.${operations}`
    invoke(name, { kind: 'send', value, transaction }).ok({ partition: `out/${batch.partition % 2}` })
    return { value, key: record.value, partition: batch.partition % 2 }
  })
  const commit = invoke(name, { kind: 'commit', transaction })
  try {
    await db.transaction(tx => {
      tx.topic(output).sendBatch(sends)
      batch.commitWith(tx)
    })
    commit.ok()
  } catch (error) {
    if (!isFenced(error)) complain(error)
    commit.fail()
    const { topic, partition } = batch
    if (!consumer.assignment.some(place => place.partition === partition)) return
    const { offset } = /** @type {{ offset: number }} */ (batch.records[0])
    consumer.seek({ topic, partition }, offset)
    invoke(name, { kind: 'seek', partition: `in/${partition}`, offset }).ok()
  }
}

async function upkeep() {
  for (;;) {
    for (let i = 0; i < 5; i++) await turn()
    await [() => db.seal(), () => db.consolidate(), () => db.flush()][below(3)]?.()
  }
}

await Promise.all([
  produce(`p-${life}-1`),
  produce(`p-${life}-2`),
  ...['least', 'most', 'exactly'].flatMap(group => [consume(group, 1), consume(group, 2)]),
  upkeep(),
]).catch(complain)

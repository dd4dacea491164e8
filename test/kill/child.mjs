/**
 * The process that is killed: opens the folder from compiled code, appends as fast as it can, and says on its standard output what was promised.
 *
 *   R            open, appends begin
 *   B <n>        commit n was accepted
 *   A <n> <word> commit n was acknowledged with its durability word
 *   E <text>     something failed that must not
 * Lines are written synchronously, so that what was said survives the kill. Every record names its commit and how many records the commit
 * has in which log, so that the judge needs nothing but the records and the acknowledgements. Some commits are transactions over the topic and the
 * store `users`: commit n then fills slot n % 40 of the store with 3 entries, or empties it (`users` is 3 or 0 in the parts of its topic records).
 * Arguments: folder, seed, first commit number.
 */
import { writeSync } from 'node:fs'
import { openDatabase } from '../../lib/engine/index.js'

const [folder = '', seedText = '1', firstText = '0'] = process.argv.slice(2)
const encoder = new TextEncoder()
let state = Number(seedText) >>> 0

/** @param {number} bound */
function below(bound) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * bound)
}

/** @param {string} line */
function say(line) {
  writeSync(1, `${line}\n`)
}

process.on('unhandledRejection', reason => say(`E unhandled rejection: ${String(reason)}`))

const database = await openDatabase(folder, {
  sync: below(2) === 0 ? 'inline' : 'group',
  commitLogFileBytesFirst: 32 * 1024,
  commitLogFileBytes: 128 * 1024,
  frameBytesMax: 32 * 1024,
  ownSegmentBytes: 64 * 1024,
  tailBytesMax: 1024 * 1024,
})
await database.define([
  { name: 'events', kind: 'topic' },
  { name: 'table', kind: 'store' },
  { name: 'feed', kind: 'store', body: true },
])
const names = ['events', 'table', 'feed']
const indexes = { n: 'n', tag: { path: 'tags', multi: true } }
/** @type {import('../../dist/engine/index.js').Store<any, any>} */
const users = database.store('users', { indexes, changes: true })
await users.ready()
const events = database.log('events')
let number = Number(firstText)
let outstanding = 0
/** @type {(() => void) | undefined} */
let wake
say('R')

/** @param {string} name @param {number} count @param {string} text @param {number} n */
function recordsOf(name, count, text, n) {
  return Array.from({ length: count }, (_, i) => {
    const key = `${String(n).padStart(9, '0')}.${i}`
    return name === 'events' ? { key, value: text } : { kind: 'put', key: encoder.encode(key), value: encoder.encode(text) }
  })
}

function appendOne() {
  const word = /** @type {const} */ (['sync', 'sync', 'buffered', 'none'])[below(4)] ?? 'sync'
  const first = below(3)
  const parts = Array.from(
    { length: 1 + below(3) },
    (_, i) => /** @type {[string, number]} */ ([names[(first + i) % 3] ?? '', 1 + below(4)]),
  )
  // Now and then larger than a frame, so that the commit is staged.
  const padding = below(40) === 0 ? 40_000 : below(8) === 0 ? 3000 : below(200)
  const n = number
  const committed = database.commit(
    commit => {
      for (const [name, count] of parts) {
        const text = JSON.stringify({ n, parts, x: 'x'.repeat(padding) })
        commit.appendRecords(database.log(name), /** @type {any} */ (recordsOf(name, count, text, n)))
      }
    },
    { durability: word },
  )
  number++
  say(`B ${n}`)
  outstanding++
  committed.acknowledged.then(
    () => {
      say(`A ${n} ${word}`)
      outstanding--
      wake?.()
    },
    error => say(`E acknowledgement: ${error}`),
  )
}

/** One transaction over the topic and the store. False: BUSY, nothing was written. */
async function transactOne() {
  const word = /** @type {const} */ (['sync', 'sync', 'buffered', 'none'])[below(4)] ?? 'sync'
  const n = number
  const count = below(4) === 0 ? 0 : 3
  const padding = below(30) === 0 ? 20_000 : below(300)
  const parts = /** @type {[string, number][]} */ ([
    ['events', 1],
    ['users', count],
  ])
  const slot = `s${n % 40}.`
  const { endOffset } = events
  const written = database.transaction(
    tx => {
      tx.log(events).appendRecords([{ key: `${String(n).padStart(9, '0')}.0`, value: JSON.stringify({ n, parts, x: '' }) }])
      const store = tx.store(users)
      if (n % 2 === 0) store.delRange({ prefix: slot })
      else for (let i = 0; i < 3; i++) store.del(slot + i)
      for (let i = 0; i < count; i++) store.put(slot + i, { n, i, tags: [n % 5, `t${i}`], x: 'x'.repeat(padding) })
    },
    { durability: word },
  )
  if (events.endOffset === endOffset) {
    await written
    return
  }
  number++
  say(`B ${n}`)
  outstanding++
  for (let i = 0; i < 3; i++) {
    const found = users.get(slot + i)?.n
    if (found !== (count === 0 ? undefined : n)) say(`E entry ${slot + i} of commit ${n} has ${found}`)
  }
  if (users.index('n').getAll(n).length !== count) say(`E the index does not have the ${count} entries of commit ${n}`)
  written.then(
    () => {
      say(`A ${n} ${word}`)
      outstanding--
      wake?.()
    },
    error => say(`E acknowledgement: ${error}`),
  )
}

async function rebuildIndex() {
  await users.dropIndex('tag')
  await database.store('users', { indexes }).ready()
}

let rebuilding = Promise.resolve()

/** @param {Promise<unknown>} work @param {string} what */
function watch(work, what) {
  work.catch(error => say(`E ${what}: ${error}`))
}

for (;;) {
  try {
    if (below(3) === 0) await transactOne()
    else appendOne()
  } catch (error) {
    if (/** @type {{ code?: string }} */ (error).code !== 'BUSY') {
      say(`E append: ${error}`)
      break
    }
    await database.drain()
  }
  const drawn = below(160)
  if (drawn === 0) watch(database.seal(), 'seal')
  else if (drawn === 1) watch(database.consolidate(), 'consolidate')
  else if (drawn === 2) watch(database.flush(), 'flush')
  else if (drawn === 3) watch(database.compactLog('table'), 'merge runs')
  else if (drawn === 5) watch(users.compact(), 'compact')
  else if (drawn === 6) watch(database.compactLog(`index/${database.get('store/users')?.id}/n`), 'compact an index')
  else if (drawn === 7) watch((rebuilding = rebuilding.then(rebuildIndex)), 'rebuild an index')
  else if (drawn === 4) {
    if (events.highWatermark > 500) watch(events.trimPrefix(events.highWatermark - 500).durable, 'trim')
  }
  if (outstanding >= 16) await /** @type {Promise<void>} */ (new Promise(resolve => (wake = resolve)))
  else if (below(4) === 0) await new Promise(resolve => setImmediate(resolve))
}

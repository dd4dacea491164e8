/**
 * The process that is killed: opens the folder from compiled code, appends as fast as it can, and says on its standard output what was promised.
 *
 *   R            open, appends begin
 *   B <n>        commit n was accepted
 *   A <n> <word> commit n was acknowledged with its durability word
 *   E <text>     something failed that must not
 * Lines are written synchronously, so that what was said survives the kill. Every record names its commit and how many records the commit
 * has in which log, so that the judge needs nothing but the records and the acknowledgements. Arguments: folder, seed, first commit number.
 */
import { writeSync } from 'node:fs'
import { openDatabase } from '../../dist/engine/index.js'

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

/** @param {Promise<unknown>} work @param {string} what */
function watch(work, what) {
  work.catch(error => say(`E ${what}: ${error}`))
}

for (;;) {
  try {
    appendOne()
  } catch (error) {
    if (/** @type {{ code?: string }} */ (error).code !== 'BUSY') {
      say(`E append: ${error}`)
      break
    }
    await database.drain()
  }
  const drawn = below(150)
  if (drawn === 0) watch(database.seal(), 'seal')
  else if (drawn === 1) watch(database.consolidate(), 'consolidate')
  else if (drawn === 2) watch(database.flush(), 'flush')
  else if (drawn === 3) watch(database.compactLog('table'), 'merge runs')
  else if (drawn === 4) {
    const events = database.log('events')
    if (events.highWatermark > 500) watch(events.trimPrefix(events.highWatermark - 500).durable, 'trim')
  }
  if (outstanding >= 16) await /** @type {Promise<void>} */ (new Promise(resolve => (wake = resolve)))
  else if (below(4) === 0) await new Promise(resolve => setImmediate(resolve))
}

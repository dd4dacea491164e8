/**
 * Damaged folders on the real disk with the real LMDB, in a process of its own, because native code may end it.
 *
 *   make <folder>                           makes a database with several segments, a tail and a staged commit, and prints nothing
 *   batch <source> <work> <seed> <count>    damages and opens copies; before each case `C <seed> <what>`, after it `O <seed> <outcome>`
 * An outcome is `right`, `prefix`, `error <code>`, or `FAILED <text>`. The parent sees from the last `C` line which case ended the process.
 */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { decodeRecords, openDatabase } from '../../lib/engine/index.js'

const options = {
  commitLogFileBytesFirst: 16 * 1024,
  commitLogFileBytes: 16 * 1024,
  frameBytesMax: 4096,
  ownSegmentBytes: 4096,
  autoConsolidate: false,
}
const commits = 60
const [verb = '', source = '', work = '', seedText = '1', countText = '0'] = process.argv.slice(2)

/** @param {string} line */
function say(line) {
  writeSync(1, `${line.replaceAll('\n', ' ')}\n`)
}

/** @param {number} offset */
const valueAt = offset => `value ${offset} ${'x'.repeat((offset * 37) % 300)}`

/** @param {number} i */
const keyAt = i => `person ${String(i).padStart(3, '0')}`

async function make() {
  const database = await openDatabase(source, options)
  await database.define([
    { name: 'events', kind: 'topic' },
    { name: 'feed', kind: 'store', body: true },
  ])
  const events = database.log('events')
  const people = database.store('people', { indexes: { i: 'i' } })
  await people.ready()
  for (let i = 0; i < commits; i++) {
    const count = i === 50 ? 20 : 1 + (i % 3)
    const base = events.endOffset
    await database.commit(commit => {
      commit.appendRecords(
        events,
        Array.from({ length: count }, (_, j) => ({ value: valueAt(base + j) })),
      )
      commit.appendRecords(database.log('feed'), [{ kind: 'put', key: Buffer.from(String(i)), value: Buffer.from(valueAt(i)) }])
    }).durable
    await people.put(keyAt(i), { i, text: valueAt(i) })
    if (i % 8 === 5) await database.seal()
  }
  // Left as a killed process leaves it: with its lock, and without a closing frame.
  process.exit(0)
}

/** @param {number} seed */
function generator(seed) {
  let state = seed >>> 0
  /** @param {number} bound */
  return bound => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x9e37_79b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) % Math.max(1, bound)
  }
}

/** @param {string} folder @returns {string[]} */
function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry =>
    entry.isDirectory() ? filesIn(join(folder, entry.name)).map(name => join(entry.name, name)) : [entry.name],
  )
}

/** @param {string} path @param {(bound: number) => number} below */
function damage(path, below) {
  const bytes = readFileSync(path)
  const at = below(bytes.length)
  const kind = below(9)
  const length = Math.min(bytes.length - at, 1 + below(below(2) === 0 ? 16 : 8192))
  if (kind <= 2) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8))
  else if (kind === 3) for (let i = 0; i < 8; i++) bytes[below(bytes.length)] = below(256)
  else if (kind === 4) bytes.fill(0, at, at + length)
  else if (kind === 5) bytes.copyWithin(below(bytes.length), at, at + length)
  else if (kind === 6) return writeFileSync(path, bytes.subarray(0, at))
  else if (kind === 7) return writeFileSync(path, below(2) === 0 ? Buffer.alloc(0) : Buffer.from(Array.from(bytes, () => below(256))))
  else return writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(1 + below(5000), below(256))]))
  writeFileSync(path, bytes)
}

/**
 * Puts were made one after the other: the store holds the first ones, found by key, in order and by index.
 *
 * @param {import('../../dist/engine/index.js').Database} database
 */
function readStore(database) {
  if (database.get('store/people') === undefined) return undefined
  const people = /** @type {import('../../dist/engine/index.js').Store<any, any>} */ (database.store('people'))
  const entries = [...people.entries()]
  for (const [i, [key, value]] of entries.entries()) {
    if (key !== keyAt(i) || value.i !== i || value.text !== valueAt(i)) return `FAILED entry ${i} of the store is ${key}, ${value.i}`
    if (people.get(key)?.text !== valueAt(i)) return `FAILED ${key} is in the store and not found`
  }
  if (people.get(keyAt(entries.length)) !== undefined) return 'FAILED a key is found that is not in the store'
  if (!people.indexNames().includes('i')) return undefined
  const indexed = [...people.index('i').keys()]
  return indexed.join() === entries.map(([key]) => key).join()
    ? undefined
    : `FAILED the index has ${indexed.length} of ${entries.length} entries`
}

/** @param {string} folder */
async function openAndRead(folder) {
  const database = await openDatabase(folder, options)
  try {
    const events = database.log('events')
    const end = events.endOffset
    for (let at = 0; at < end; ) {
      const slice = events.read(at, { bound: 'end', bytesMax: 3000 })
      for (const position of slice.positions) {
        for (const { offset, value } of decodeRecords(slice.bytes, position)) {
          if (offset !== at++) return `FAILED offset ${offset} where ${at - 1} should be`
          if (Buffer.from(value ?? []).toString() !== valueAt(offset)) return `FAILED wrong value at ${offset}`
        }
      }
      if (slice.positions.length === 0) return `FAILED a read at ${at} of ${end} gives nothing`
    }
    const appended = events.appendRecords([{ value: valueAt(end) }])
    await appended.durable
    const feed = database.log('feed')
    for (let at = feed.startOffset; at < feed.endOffset; ) {
      const { nextOffset } = feed.read(at, { bound: 'end' })
      if (nextOffset <= at) return `FAILED a read of feed at ${at} does not move on`
      at = nextOffset
    }
    return readStore(database) ?? (end === fullEnd ? 'right' : 'prefix')
  } finally {
    await database.close().catch(() => undefined)
  }
}

const fullEnd = Array.from({ length: commits }, (_, i) => (i === 50 ? 20 : 1 + (i % 3))).reduce((sum, count) => sum + count, 0)

async function batch() {
  process.on('unhandledRejection', reason => say(`O 0 FAILED unhandled rejection: ${String(reason)}`))
  const names = filesIn(source)
  for (let seed = Number(seedText); seed < Number(seedText) + Number(countText); seed++) {
    const below = generator(seed)
    const folder = join(work, String(seed))
    cpSync(source, folder, { recursive: true })
    // Half of the damage goes to the catalog: LMDB is what is not ours.
    const catalog = names.filter(name => name.includes('catalog'))
    const pool = below(2) === 0 ? catalog : names
    const name = pool[below(pool.length)] ?? 'lock'
    say(`C ${seed} ${name}`)
    damage(join(folder, name), below)
    let outcome
    try {
      outcome = await openAndRead(folder)
    } catch (error) {
      const { code, message, details } = /** @type {{ code?: string, message?: string, details?: { file?: string } }} */ (error)
      const typed = /** @type {Error} */ (error).name === 'VarveError' && code !== 'INVARIANT' && code !== 'TASK_FAILED'
      outcome = typed && (code !== 'CORRUPT' || details?.file !== undefined) ? `error ${code}` : `FAILED ${code} ${message}`
    }
    say(`O ${seed} ${name} ${outcome}`)
    rmSync(folder, { recursive: true, force: true })
  }
}

if (verb === 'make') await make()
else await batch()

/**
 * Opens a described memtable and asks it the same questions round after round until `stop[0]` is set; `stop[1]` says that one round is over.
 * Posts the answers, or throws when a round's differ from the first one's. Runs the compiled engine: Node 20 cannot run TypeScript in a worker.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { createKeyHash, hashKey } from '../../../../dist/engine/batch/store-keys.js'
import { StoreRecordCursor } from '../../../../dist/engine/batch/store-record.js'
import { Memtable } from '../../../../dist/engine/store/memtable.js'

const { description, bytes, queries, stop } = workerData

/** @param {Memtable} table */
function answer(table) {
  const hash = createKeyHash()
  const record = new StoreRecordCursor()
  const found = queries.map(({ key, sequenceMax }) => {
    hashKey(key, 0, key.length, hash)
    return table.find(key, 0, key.length, hash, sequenceMax, record) ? record.sequence : -1
  })
  const covered = queries.map(({ key, sequenceMax }) => table.coveringRangeDelete(key, 0, key.length, sequenceMax))
  const cursor = table.cursor()
  const forward = []
  const back = []
  while (cursor.next()) forward.push(cursor.record.sequence)
  while (cursor.previous()) back.push(cursor.record.sequence)
  return { found, covered, forward, back }
}

const first = answer(Memtable.open(description, bytes))
const text = JSON.stringify(first)
let rounds = 1
Atomics.store(stop, 1, 1)
for (; Atomics.load(stop, 0) === 0 || rounds < 2; rounds++) {
  if (JSON.stringify(answer(Memtable.open(description, bytes))) !== text) throw new Error(`round ${rounds} differs`)
}
parentPort.postMessage({ ...first, rounds })

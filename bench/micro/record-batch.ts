/**
 * Micro-benchmark of record batches: 1000 records of 16 B key and 100 B value an operation, so that 1000 operations a second are 1 M records a second.
 *
 * Run after a build: node dist/bench/micro/record-batch.js
 */

import { add, complete, cycle, suite } from 'benny'
import { fillCrc } from '../../engine/batch/record-batch.ts'
import { decodeRecords } from '../../engine/batch/record-batch-codec.ts'
import { RecordBatchWriter } from '../../engine/batch/record-batch-writer.ts'
import { RecordCursor } from '../../engine/batch/record-cursor.ts'

const recordCount = 1000
const startTime = 1_700_000_000_000
const keys = Array.from({ length: recordCount }, (_, i) => new TextEncoder().encode(String(i).padStart(16, 'k')))
const keyTexts = Array.from({ length: recordCount }, (_, i) => String(i).padStart(16, 'k'))
const values = Array.from({ length: recordCount }, (_, i) => new Uint8Array(100).fill(i))
const arena = new Uint8Array(1 << 20)
const sharedArena = new Uint8Array(new SharedArrayBuffer(1 << 20))
const writer = new RecordBatchWriter()
const cursor = new RecordCursor()

function encode(target: Uint8Array, keysUsed: readonly (Uint8Array | string)[]): number {
  writer.begin(target, 0, target.length, 1_000_000, 1)
  for (let i = 0; i < recordCount; i++) writer.add(keysUsed[i] as Uint8Array, values[i] as Uint8Array, startTime + i)
  return writer.end()
}

const end = encode(arena, keys)
let total = 0

await suite(
  'record batch, 1000 records of 16 B + 100 B',
  add('encode into private memory', () => void encode(arena, keys)),
  add('encode into shared memory', () => void encode(sharedArena, keys)),
  add('encode, keys are strings', () => void encode(arena, keyTexts)),
  add('fill the checksum', () => fillCrc(arena, 0)),
  add('walk with a cursor', () => {
    cursor.open(arena, 0, end)
    while (cursor.next()) total += cursor.valueSize
  }),
  add('decode to objects', () => {
    total += decodeRecords(arena, 0, end).length
  }),
  cycle(),
  complete(),
)
if (total < 0) throw new Error('the work was not done')

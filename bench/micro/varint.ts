/**
 * Micro-benchmark of varints: 1000 numbers written and read an operation, for numbers of several widths.
 *
 * Run after a build: node dist/bench/micro/varint.js
 */

import { add, complete, cycle, suite } from 'benny'
import { readVarint, readZigzag53, varintEnd, writeVarint, writeZigzag53 } from '../../engine/codec/varint.ts'

const target = new Uint8Array(16_384)
let total = 0

function varints(first: number): void {
  let at = 0
  for (let i = 0; i < 1000; i++) at = writeVarint(target, at, first + i)
  for (let from = 0; from < at; from = varintEnd) total += readVarint(target, from)
}

function zigzags(first: number): void {
  let at = 0
  for (let i = 0; i < 1000; i++) at = writeZigzag53(target, at, first + i)
  for (let from = 0; from < at; from = varintEnd) total += readZigzag53(target, from)
}

await suite(
  'varints, 1000 written and read',
  add('varint, 2 bytes', () => varints(1000)),
  add('varint, 4 bytes', () => varints(10_000_000)),
  add('varint, 7 bytes', () => varints(1_000_000_000_000)),
  add('zigzag53, 2 bytes', () => zigzags(100)),
  add('zigzag53, 6 bytes', () => zigzags(1_700_000_000_000)),
  cycle(),
  complete(),
)
if (total === 0) throw new Error('the work was not done')

/**
 * Goal: docs/FORMAT.md cannot rot. Its worked examples are what the engine writes, and the numbers that stand in its text and not in its tables of
 * constants are those of the code. UPDATE_FORMAT=1 writes the examples anew.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as store from '../../../engine/batch/store-format.ts'
import { CATALOG_FORMAT, SYSTEM_LOG_ID } from '../../../engine/catalog/rows.ts'
import { compressionNames } from '../../../engine/codec/compression.ts'
import { workedExamples } from './example.ts'

const { UPDATE_FORMAT: update } = process.env
const page = new URL('../../../docs/FORMAT.md', import.meta.url)
const begins = '<!-- example begins -->\n'
const ends = '\n<!-- example ends -->'

test('the worked examples are what the engine writes', async () => {
  const made = await workedExamples()
  let document = readFileSync(page, 'utf8')
  const from = document.indexOf(begins) + begins.length
  const to = document.indexOf(ends)
  expect(from).toBeGreaterThan(begins.length)
  expect(to).toBeGreaterThanOrEqual(from - 1)
  if (update === '1') {
    document = `${document.slice(0, from)}${made}${document.slice(Math.max(to, from - 1))}`
    writeFileSync(page, document)
  }
  expect(document.slice(from, document.indexOf(ends))).toBe(made)
})

test('numbers in the text are those of the code', () => {
  const document = readFileSync(page, 'utf8')
  const section = (title: string): string => {
    const from = document.indexOf(`\n## ${title}`)
    expect(from, title).toBeGreaterThan(0)
    return document.slice(from, document.indexOf('\n## ', from + 1))
  }
  const batches = section('6 Store batches')
  const fields: [number, number][] = [
    [store.STORE_BATCH_SIZE, 4],
    [store.STORE_BATCH_VERSION_AT, 1],
    [store.STORE_BATCH_CODEC, 1],
    [store.STORE_BATCH_FLAGS, 2],
    [store.STORE_BATCH_BASE_OFFSET, 8],
    [store.STORE_BATCH_BASE_SEQUENCE, 8],
    [store.STORE_BATCH_TIMESTAMP, 8],
    [store.STORE_BATCH_EPOCH, 4],
    [store.STORE_BATCH_COUNT, 4],
    [store.STORE_BATCH_CHECKSUM, 8],
    [store.STORE_BATCH_HEADER_SIZE, 2],
    [store.STORE_BATCH_ZEROS, 6],
  ]
  for (const [at, bytes] of fields) expect(batches).toContain(`\n| ${at} | ${bytes} | `)
  expect(batches).toContain(`\n| ${store.STORE_BATCH_HEADER_BYTES} | | extensions, then records`)
  expect([store.STORE_PUT, store.STORE_DELETE, store.STORE_RANGE_DELETE, store.STORE_POINTER]).toEqual([0, 1, 2, 3])
  expect([store.STORE_RECORD_EXPIRY, store.STORE_RECORD_VERSION, store.STORE_RECORD_EXTENSIONS]).toEqual([1 << 2, 1 << 3, 1 << 4])
  expect([store.STORE_BATCH_VERSION, store.STORE_RECORD_VERSION_BYTES, store.STORE_BYTES_LIMIT]).toEqual([1, 12, 2 ** 30])
  for (const [id, name] of compressionNames.entries()) expect(section('5 Topic batches')).toContain(`\n| ${id} | ${name} | `)
  expect(section('9 Catalog')).toContain(`format: ${CATALOG_FORMAT}`)
  expect(section('9 Catalog')).toContain(`log ${SYSTEM_LOG_ID}, a topic log`)
})

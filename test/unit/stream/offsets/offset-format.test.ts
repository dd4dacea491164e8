/** Goal: the records of `__consumer_offsets` have the documented bytes, come back as written, and damage is CORRUPT, not nonsense. */
import { describe, expect, test } from 'vitest'
import { isVarveError } from '../../../../index.ts'
import {
  decodeCommittedOffset,
  decodeGroupUse,
  decodeOffsetKey,
  encodeCommittedOffset,
  encodeGroupUse,
  encodeOffsetKey,
  KIND_GROUP,
  KIND_OFFSET,
} from '../../../../stream/offsets/offset-format.ts'
import { OffsetTable } from '../../../../stream/offsets/offset-table.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('bytes', () => {
  test('a key: version, kind, group, topic id, partition', () => {
    const key = { kind: KIND_OFFSET, group: 'gé', topicId: 2 ** 33 + 5, partition: 7 } as const
    expect(hex(encodeOffsetKey(key))).toBe(`0100${'0003'}${'67c3a9'}${'0000000200000005'}${'00000007'}`)
    expect(decodeOffsetKey(encodeOffsetKey(key))).toEqual(key)
    expect(hex(encodeOffsetKey({ kind: KIND_GROUP, group: 'g', topicId: 0, partition: 0 }))).toBe('0101000167')
  })

  test('values: an offset with its metadata, the use of a group', () => {
    const committed = { offset: 2 ** 40, metadata: 'm', timestamp: 1 }
    expect(hex(encodeCommittedOffset(committed))).toBe(`${'0000010000000000'}${'0000000000000001'}6d`)
    expect(decodeCommittedOffset(encodeCommittedOffset(committed))).toEqual(committed)
    expect(hex(encodeGroupUse({ live: true, timestamp: 2, generation: 3 }))).toBe('01000000000000000200000003')
    expect(decodeGroupUse(encodeGroupUse({ live: false, timestamp: 9, generation: 2 ** 31 }))).toEqual({
      live: false,
      timestamp: 9,
      generation: 2 ** 31,
    })
  })

  test('what is cut off is CORRUPT, what is newer is left alone', () => {
    const key = encodeOffsetKey({ kind: KIND_OFFSET, group: 'g', topicId: 1, partition: 1 })
    for (const run of [
      () => decodeOffsetKey(key.subarray(0, key.length - 1)),
      () => decodeOffsetKey(key.subarray(0, 2)),
      () => decodeCommittedOffset(new Uint8Array(15)),
      () => decodeGroupUse(new Uint8Array(8)),
    ]) {
      let error: unknown
      try {
        run()
      } catch (thrown) {
        error = thrown
      }
      expect(isVarveError(error, 'CORRUPT')).toBe(true)
    }
    expect(decodeOffsetKey(Uint8Array.of(2, 0, 0, 0))).toBeUndefined()
    expect(decodeOffsetKey(Uint8Array.of(1, 9, 0, 0))).toBeUndefined()
  })
})

test('the table counts its rows and forgets empty groups', () => {
  const table = new OffsetTable()
  const committed = { offset: 1, metadata: '', timestamp: 1 }
  table.set('g', 1, 0, committed)
  table.set('g', 1, 0, { ...committed, offset: 2 })
  table.set('g', 2, 3, committed)
  table.setUse('g', { live: true, timestamp: 1, generation: 1 })
  expect(table.size).toBe(3)
  expect(table.rows('g').map(({ topicId, partition, offset }) => [topicId, partition, offset])).toEqual([
    [1, 0, 2],
    [2, 3, 1],
  ])
  table.set('g', 1, 0, undefined)
  table.set('g', 1, 0, undefined)
  table.set('none', 1, 0, undefined)
  table.set('g', 2, 3, undefined)
  expect([table.size, table.hasOffsets('g'), table.groups]).toEqual([1, false, ['g']])
  table.setUse('g', undefined)
  table.setUse('none', undefined)
  expect([table.size, table.groups]).toEqual([0, []])
})

/** Goal: sorting addresses gives exactly the order that sorting the records by (key, newest first) gives, for keys of every awkward shape. */
import { expect, test } from 'vitest'
import { STORE_PUT } from '../../../../engine/batch/store-format.ts'
import { compareNewestFirst, StoreRecordCursor, storeRecordSize, writeStoreRecord } from '../../../../engine/batch/store-record.ts'
import { sortStoreRecords, storeRecordAddress } from '../../../../engine/maintenance/merge-sort.ts'
import { type Random, seeded } from '../codec/random.ts'

const noBytes = new Uint8Array(0)

function check(random: Random, keys: readonly Uint8Array[], versioned: boolean): void {
  const buffers = [new Uint8Array(keys.length * 60 + 4096), new Uint8Array(keys.length * 60 + 4096)]
  const used = [3, 0]
  const addresses = new Float64Array(keys.length)
  keys.forEach((key, i) => {
    const which = random.below(2)
    const buffer = buffers[which]!
    const sequence = random.below(3) === 0 ? random.below(1000) * keys.length + i : i
    const version = versioned ? { ms: random.below(3), counter: random.below(2), node: random.below(3) } : undefined
    expect(used[which]! + storeRecordSize(sequence, key.length, 0, 0, versioned)).toBeLessThanOrEqual(buffer.length)
    addresses[i] = storeRecordAddress(which, used[which]!)
    used[which] = writeStoreRecord(buffer, used[which]!, STORE_PUT, sequence, key, 0, key.length, noBytes, 0, 0, 0, version)
  })
  const cursorAt = (address: number): StoreRecordCursor => {
    const cursor = new StoreRecordCursor()
    const which = Math.floor(address / 2 ** 32)
    cursor.readAt(buffers[which]!, address - which * 2 ** 32, buffers[which]!.length)
    return cursor
  }
  const model = Array.from(addresses, address => ({ address, cursor: cursorAt(address) })).sort((left, right) => {
    const keyOf = ({ buffer, keyStart, keyBytes }: StoreRecordCursor): Uint8Array => buffer.subarray(keyStart, keyStart + keyBytes)
    return Buffer.compare(keyOf(left.cursor), keyOf(right.cursor)) || compareNewestFirst(left.cursor, right.cursor, versioned)
  })
  const sorted = sortStoreRecords(buffers, addresses, { versioned })
  const describeAt = (address: number): unknown[] => {
    const { buffer, keyStart, keyBytes, sequence, versionMs, versionCounter, versionNode } = cursorAt(address)
    return [Buffer.from(buffer.slice(keyStart, keyStart + keyBytes)).toString('hex'), sequence, versionMs, versionCounter, versionNode]
  }
  expect(Array.from(sorted, describeAt)).toEqual(model.map(({ address }) => describeAt(address)))
  expect(new Set(sorted).size).toBe(keys.length)
}

test.each([false, true])('every shape of key, versioned %s', async versioned => {
  await seeded(random => {
    const shapes: (() => Uint8Array)[] = [
      () => random.bytes(random.below(20)),
      () => new Uint8Array(random.below(30)),
      () => Uint8Array.from({ length: random.below(25) }, () => random.below(2) * 255),
      () => Buffer.from(`user:${random.below(500)}`),
      () => Buffer.from(`a/very/long/common/prefix/of/keys/${random.below(2)}/${random.below(300)}`),
      () => Buffer.from('same'),
      () => new Uint8Array(0),
    ]
    for (const count of [0, 1, 2, 24, 25, 26, 300, 3000]) {
      for (const shape of shapes) check(random, Array.from({ length: count }, shape), versioned)
      check(
        random,
        Array.from({ length: count }, () => random.pick(shapes)()),
        versioned,
      )
    }
  })
})

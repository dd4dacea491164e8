/** Goal: bounds of a range delete become a range that has the same bounds, whatever the codec and however the range was written. */
import { expect, test } from 'vitest'
import { type KeyCodecName, KeyEncoder, keyCodecOf, type StoreKey } from '../../../../engine/store/key-codec.ts'
import { rangeOfKeys } from '../../../../engine/store/key-range.ts'
import { StoreCore } from '../../../../engine/store/store-core.ts'
import type { RangeOptions } from '../../../../engine/store/store-options.ts'

const samples: { readonly [name in KeyCodecName]: readonly StoreKey[] } = {
  tuple: [
    '',
    'a',
    'a\0',
    'ÿ',
    0,
    -1.5,
    7n,
    null,
    true,
    new Date(5),
    new Uint8Array([0, 255]),
    [],
    ['a', 1],
    [['x'], null],
    [new Uint8Array([0])],
  ],
  string: ['a', 'a\0', 'b', 'ÿ', '\u{10ffff}', 'ab'],
  bytes: [new Uint8Array([0]), new Uint8Array([1, 255]), new Uint8Array([7, 0])],
}

/** `StoreCore.bounds` needs codecs alone. */
function boundsOf(name: KeyCodecName, range: RangeOptions): { start: Uint8Array; end: Uint8Array | undefined } {
  const core = Object.assign(Object.create(StoreCore.prototype) as StoreCore, { keys: keyCodecOf(name), encoder: new KeyEncoder() })
  const { start, end } = core.bounds(range)
  return { start: start ?? new Uint8Array(0), end }
}

test.each(['tuple', 'string', 'bytes'] as const)('%s keys', name => {
  let count = 0
  const check = (range: RangeOptions): void => {
    const { start, end } = boundsOf(name, range)
    if (end === undefined || Buffer.compare(start, end) >= 0) return
    const found = rangeOfKeys(keyCodecOf(name), start, end)
    expect(
      boundsOf(name, found),
      JSON.stringify(range, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)),
    ).toEqual({ start, end })
    count++
  }
  for (const from of samples[name]) {
    if (typeof from === 'string' || from instanceof Uint8Array || Array.isArray(from)) check({ prefix: from })
    check({ lt: from })
    check({ lte: from })
    for (const to of samples[name]) {
      for (const lower of [{ gt: from }, { gte: from }]) for (const upper of [{ lt: to }, { lte: to }]) check({ ...lower, ...upper })
    }
  }
  expect(count).toBeGreaterThan(samples[name].length)
})

test('bounds that no range has are damage', () => {
  expect(() => rangeOfKeys(keyCodecOf('tuple'), new Uint8Array([0xee]), new Uint8Array([0xef]))).toThrow(
    expect.objectContaining({ code: 'CORRUPT' }),
  )
})

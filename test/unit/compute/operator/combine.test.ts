/** Goal: a combiner gets the values of a key in their order, each once, whatever chunks they come in and however often what was combined has to go on. */
import { expect, test } from 'vitest'
import type { OperatorContext } from '../../../../compute/operator/context.ts'
import { CombineRows, EmitRows } from '../../../../compute/operator/emit-rows.ts'
import { ValueRows } from '../../../../compute/rows/chunk-data.ts'
import { Chunk } from '../../../../compute/vector/chunk.ts'
import { seeded } from '../../engine/codec/random.ts'

interface Pair {
  readonly key: unknown
  readonly value: string
  readonly group: unknown
}

function combined(rows: readonly (readonly [key: unknown, value: string])[], chunkRows: number, memoryBytesMax: number): [Pair[], number] {
  const pairs: Pair[] = []
  let calls = 0
  const context = { memoryBytesMax, count: () => undefined } as unknown as OperatorContext
  const functions = {
    map: (emit: (key: unknown, value: unknown) => void) => (row: unknown) => emit(...(row as [unknown, string])),
    group: undefined,
    partition: undefined,
    badRecordsMax: 0,
  }
  const end = { isSated: false, receive: (chunk: Chunk) => void pairs.push(...(chunk.values() as Pair[])), finish: () => undefined }
  const combine = (key: unknown, values: unknown[]): unknown => {
    calls++
    expect(values.length).toBeGreaterThan(1)
    for (const value of values) expect(String(value).startsWith(`${key}:`)).toBe(true)
    return values.join(',')
  }
  const mapped = new EmitRows(functions, context, new CombineRows(combine, functions, context, end))
  for (let from = 0; from < rows.length; from += chunkRows)
    void mapped.receive(new Chunk(new ValueRows(rows.slice(from, from + chunkRows))))
  void mapped.finish()
  return [pairs, calls]
}

test.each([
  ['all in memory', 1 << 30],
  ['hardly anything in memory', 1],
])('values are combined in order, %s', async (_, memoryBytesMax) => {
  await seeded(random => {
    const keys = [null, 5, 'five', '', 7n ** 30n, ...Array.from({ length: 500 }, (_, i) => `key ${i}`)]
    const rows = Array.from({ length: 20_000 }, (_, i): [unknown, string] => {
      const key = keys[random.below(random.below(keys.length) + 1)] as unknown
      return [key, `${key}:${i}`]
    })
    const expected = new Map<unknown, string[]>()
    for (const [key, value] of rows) expected.set(key, [...(expected.get(key) ?? []), value])
    const [pairs, calls] = combined(rows, 1 + random.below(9000), memoryBytesMax)
    const found = new Map<unknown, string[]>()
    for (const { key, value, group } of pairs) {
      expect(group).toBe(key)
      found.set(key, [...(found.get(key) ?? []), ...value.split(',')])
    }
    expect(found).toEqual(expected)
    expect(calls).toBeGreaterThan(0)
    expect(pairs.length === expected.size).toBe(memoryBytesMax > 1)
  })
})

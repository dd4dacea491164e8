/** Goal: functions over the ordered rows of each key give what their definitions give over sorted arrays, and have the types that they say. */
import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  avg,
  col,
  collect,
  count,
  denseRank,
  type Flow,
  flow,
  lag,
  lead,
  rank,
  record,
  rowNumber,
  running,
  sum,
} from '../../../../compute/index.ts'
import { compareValues } from '../../../../compute/vector/value-order.ts'
import { randomScalar } from '../../../support/random-values.ts'
import { seeded } from '../../engine/codec/random.ts'

interface Row {
  readonly k: unknown
  readonly t: unknown
  readonly n: number | null
}

function byOrder(a: unknown, b: unknown): number {
  return (a ?? null) === null ? ((b ?? null) === null ? 0 : 1) : (b ?? null) === null ? -1 : compareValues(a, b)
}

describe('windows', () => {
  it.each(['a field', 'a function'])('of keys of many chunks by %s, in a file, are those in memory', async keyed => {
    const rows = Array.from({ length: 25_000 }, (_, i) => ({ id: i, k: i % 3 === 0 ? 'é' : i % 5 === 0 ? null : 7, t: (i * 7919) % 4001 }))
    const input = flow('w', rows)
    const byKey = keyed === 'a field' ? input.keyBy('k') : input.keyBy(({ k }) => k)
    const built = byKey
      .sort('t')
      .window({ place: rank(), number: rowNumber(), far: lead('id', 5000), near: lag('id', 3), n: running(count()) })
    const expected = [7, 'é', null].flatMap(key => {
      const ordered = rows.filter(({ k }) => k === key).sort((a, b) => a.t - b.t || a.id - b.id)
      return ordered.map((row, i) => {
        const place = i > 0 && ordered[i - 1]?.t === row.t ? -1 : i + 1
        return { ...row, place, number: i + 1, far: ordered[i + 5000]?.id ?? null, near: ordered[i - 3]?.id ?? null, n: i + 1 }
      })
    })
    for (const [i, row] of expected.entries()) if (row.place < 0) row.place = expected[i - 1]?.place as number
    expect(await built.toArray()).toEqual(expected)
    expect(await built.toArray({ memoryBytesMax: 1 << 20 })).toEqual(expected)
    const firsts = await byKey.sort('t').limit(2).toArray()
    expect(firsts).toEqual(expected.filter(({ number }) => number <= 2).map(({ id, k, t }) => ({ id, k, t })))
  })

  it('rank, number, look around and run as defined', async () => {
    await seeded(async random => {
      for (let round = 0; round < 25; round++) {
        const [keys, times] = [5, 6].map(size => Array.from({ length: size }, () => randomScalar(random, { rich: true })))
        const rows = Array.from({ length: random.below(80) }, (): Row => {
          return {
            k: random.pick(keys as unknown[]),
            t: random.pick(times as unknown[]),
            n: random.below(4) === 0 ? null : random.below(100),
          }
        })
        const found = await flow('w', rows)
          .keyBy('k')
          .sort('t', { by: 'n', descending: true })
          .window({
            rank: rank(),
            dense: denseRank(),
            number: rowNumber(),
            before: lag('n'),
            after: lead(col('n').mul(2), 2),
            total: running(sum('n')),
            large: running(count().where(col('n').gt(50))),
            all: running(collect('n')),
          })
          .toArray()
        const groups: Row[][] = []
        for (const row of rows) {
          const group = groups.find(([first]) => compareValues(first?.k, row.k) === 0)
          if (group === undefined) groups.push([row])
          else group.push(row)
        }
        groups.sort(([a], [b]) => byOrder(a?.k, b?.k))
        const expected = groups.flatMap(group => {
          const same = (a: Row, b: Row): boolean => byOrder(a.t, b.t) === 0 && byOrder(a.n, b.n) === 0
          const negated = (n: number | null): number | null => (n === null ? null : -n)
          const ordered = group
            .map((row, i) => ({ row, i }))
            .sort((a, b) => byOrder(a.row.t, b.row.t) || byOrder(negated(a.row.n), negated(b.row.n)) || a.i - b.i)
            .map(({ row }) => row)
          return ordered.map((row, i) => {
            const upTo = ordered.slice(0, i + 1)
            const numbers = upTo.flatMap(({ n }) => n ?? [])
            const first = ordered.findIndex(other => same(other, row))
            const after = ordered[i + 2]?.n ?? null
            return {
              ...row,
              rank: first + 1,
              dense: upTo.filter((other, j) => j === 0 || !same(other, ordered[j - 1] as Row)).length,
              number: i + 1,
              before: ordered[i - 1]?.n ?? null,
              after: after === null ? null : 2 * after,
              total: numbers.length === 0 ? null : numbers.reduce((a, b) => a + b, 0),
              large: numbers.filter(n => n > 50).length,
              all: numbers,
            }
          })
        })
        expect(found).toEqual(expected)
      }
    })
  })

  it('give the first rows of each key', async () => {
    const rows = Array.from({ length: 30_000 }, (_, i) => ({ k: i % 3, i: (i * 7919) % 30_000 }))
    const found = await flow('w', rows).keyBy('k').sort('i').limit(2).toArray()
    const expected = [0, 1, 2].flatMap(k =>
      rows
        .filter(row => row.k === k)
        .sort((a, b) => a.i - b.i)
        .slice(0, 2),
    )
    expect(found).toEqual(expected)
    expect(await flow('w', rows).keyBy('k').sort('i').limit(0).toArray()).toEqual([])
    const numbered = flow('w', rows).keyBy('k').sort('i').window({ i: rowNumber() })
    expect(await numbered.filter(col('i').gt(9_999)).select('k', 'i').sort('k').toArray()).toEqual([0, 1, 2].map(k => ({ k, i: 10_000 })))
  })

  it('take keys from functions', async () => {
    const found = await flow('w', ['b', 'aa', 'cc', 'a'])
      .map(text => ({ text }))
      .keyBy(({ text }) => text.length)
      .sort('text')
      .window({ number: rowNumber() })
      .toArray()
    expect(found).toEqual([
      { text: 'a', number: 1 },
      { text: 'b', number: 2 },
      { text: 'aa', number: 1 },
      { text: 'cc', number: 2 },
    ])
  })

  it('have types, and refuse by name', () => {
    const keyed = flow('w', [] as { k: string; n: number }[]).keyBy('k')
    expectTypeOf(keyed.sort('n').window({ r: rank(), before: lag('n'), mean: running(avg('n')), k: rowNumber() })).toEqualTypeOf<
      Flow<{ n: number; r: number; before: unknown; mean: number | null; k: number }>
    >()
    expectTypeOf(keyed.sort('n').limit(1)).toEqualTypeOf<Flow<{ k: string; n: number }>>()
    // @ts-expect-error rows have no such field
    expect(keyed.sort('n').window({ x: lag('y') })).toBeDefined()
    expect(() => keyed.sort('n').window({ x: sum('n') as never })).toThrow('window.x must be a function over a window')
    expect(() => keyed.sort('n').window(1 as never)).toThrow('window must be given an object')
    expect(() => lag('n', -1)).toThrow('offset must be a whole number')
    expect(() => running('n' as never)).toThrow('running must be given an aggregate')
    expect(() => keyed.sort()).toThrow('sort must have something to sort by')
    expect(() => keyed.sort(record.time).limit(-1)).toThrow('count must be a whole number')
  })
})

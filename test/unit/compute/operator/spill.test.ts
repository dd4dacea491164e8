/**
 * Goal: joins of every kind, `cogroup`, `distinct`, `fold` and `reduce` whose rows and states do not fit into memory give what they give in memory, keys of many kinds and null among them, whether
 * rows are wanted as values or as fields; and no file stays.
 */
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, it } from 'vitest'
import { count, type Flow, flow, type JoinKind, sum } from '../../../../compute/index.ts'
import { unordered } from '../../../support/sql-oracle.ts'

interface Row {
  readonly id: number
  readonly key: unknown
  readonly part: number | null
  readonly text: string
  readonly deep: { readonly x: number } | null
}

/** Keys of 4000, each a few times, of several kinds. */
function rowsOf(count: number, seed: number): Row[] {
  return Array.from({ length: count }, (_, id) => {
    const k = (id * 7919 + seed) % 4000
    const key = k % 5 === 0 ? `é ${k}` : k % 7 === 0 ? null : k % 11 === 0 ? BigInt(k) : k % 13 === 0 ? new Date(k) : k
    return { id, key, part: k % 3 === 0 ? null : k % 4, text: `text ${id} ${'x'.repeat(id % 40)}`, deep: id % 3 === 0 ? null : { x: id } }
  })
}

const [lefts, rights] = [rowsOf(800, 3), rowsOf(4500, 500)]
const small = { memoryBytesMax: 1 << 20 }

async function expectSame(built: Pick<Flow<unknown>, 'toArray'>): Promise<void> {
  const expected = unordered(await built.toArray())
  expect(expected.length).toBeGreaterThan(100)
  expect(unordered(await built.toArray(small))).toEqual(expected)
}

describe('beyond memory', () => {
  it.each(['inner', 'left', 'right', 'full', 'semi', 'anti'] as const satisfies readonly JoinKind[])('%s join', async how => {
    const right = flow('r', rights).withColumns({ rid: 'id', other: 'text' })
    const joined = flow('l', lefts).join(right, { on: ['key', 'part'], how })
    await expectSame(joined)
    const typed = joined as unknown as Flow<Row & { readonly rid: number; readonly other: string }>
    await expectSame(how === 'semi' || how === 'anti' ? typed.select('id', 'deep.x') : typed.select('id', 'rid', 'other', 'deep.x'))
  })

  it('join by a function', async () => {
    const joined = flow('l', lefts).join(flow('r', rights), { on: 'key', how: 'full' }, (a, b) => [a?.id ?? null, b?.text ?? null])
    await expectSame(joined)
  })

  it('cogroup', async () => {
    const grouped = flow('l', lefts).cogroup(flow('r', rights), { on: 'key' })
    await expectSame(grouped.map(({ key, left, right }) => ({ key, left: left.map(({ id }) => id), right: right.map(({ text }) => text) })))
  })

  it('distinct', async () => {
    const many = Array.from({ length: 40_000 }, (_, id) => ({ id, key: id % 30_011 === 0 ? null : `key ${(id * 7919) % 30_011}` }))
    const found = await flow('d', many).distinct('key').toArray(small)
    expect(unordered(found)).toEqual(unordered(many.filter(({ key }, i) => i < 30_011 || (key === null && i === 0))))
    expect((await flow('d', many).select('key').distinct().toArray(small)).length).toBe(30_011)
  })

  it('fold and reduce', async () => {
    const many = Array.from({ length: 16_000 }, (_, id) => ({ id, key: id % 7001 === 0 ? null : (id * 7919) % 7001 }))
    const keyed = flow('f', many).keyBy('key')
    const lists = keyed.fold(
      (): number[] => [],
      (list, { id }) => [...list, id],
    )
    await expectSame(lists)
    await expectSame(keyed.reduce((a, b) => ({ ...b, id: a.id * 3 + b.id })))
  })

  it('leaves no file', async () => {
    const jobFiles = (): string[] => readdirSync(tmpdir()).filter(name => name.startsWith('varve-job-') && name.endsWith('.blocks'))
    const before = jobFiles()
    const joined = flow('l', lefts).join(flow('r', rights), { on: 'key' })
    await joined.aggregate({ n: count(), total: sum('id') }).toArray(small)
    expect((await joined.limit(3).toArray(small)).length).toBe(3)
    expect(jobFiles().filter(name => !before.includes(name))).toEqual([])
  })
})

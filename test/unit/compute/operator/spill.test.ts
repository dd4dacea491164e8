/**
 * Goal: joins of every kind, `cogroup`, `distinct`, `fold` and `reduce` whose rows and states do not fit into memory give what they give in memory, keys of many kinds and null among them, whether
 * rows are wanted as values or as fields; buckets that do not fit either are divided again, and what cannot be divided is joined in parts, or is an error where it must be together; no file stays.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { collect, count, type Flow, flow, type JoinKind, sum } from '../../../../compute/index.ts'
import { Collect } from '../../../../compute/operator/collect.ts'
import type { OperatorContext } from '../../../../compute/operator/context.ts'
import { buildPlan } from '../../../../compute/plan/build.ts'
import { loadChecksums, makeScratchFolder, nodeFiles } from '../../../../engine/index.ts'
import { unordered } from '../../../support/sql-oracle.ts'
import { ownTemporaryFolder } from '../../../support/temporary-folder.ts'

const jobFolders = ownTemporaryFolder('spill')

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
    const joined = flow('l', lefts).join(flow('r', rights), { on: 'key' })
    await joined.aggregate({ n: count(), total: sum('id') }).toArray(small)
    expect((await joined.limit(3).toArray(small)).length).toBe(3)
    expect(jobFolders()).toEqual([])
  })
})

/** Runs a flow with less memory than `memoryBytesMax` allows; its rows, and how often an operator divided rows by key. */
async function runTight(
  built: Pick<Flow<unknown>, 'plan'>,
  memoryBytesMax: number,
): Promise<{ readonly rows: unknown[]; readonly spills: number }> {
  await loadChecksums()
  const folder = makeScratchFolder('varve-job-')
  const end = new Collect()
  const closes: (() => void)[] = []
  let spills = 0
  const context: OperatorContext = {
    memoryBytesMax,
    keyBytesMax: memoryBytesMax,
    files: nodeFiles,
    spillPath: () => join(folder, `${spills++}.blocks`),
    count: () => undefined,
    onEnd: close => void closes.push(close),
  }
  try {
    for (const { leaf, needs, receiver } of buildPlan(built.plan, end, context)) {
      if (leaf.op !== 'source') throw new Error('the plan was not cut')
      const { splits } = await leaf.source.split({ parallelism: 1, portable: false, range: undefined })
      for (const split of splits) {
        const reader = await leaf.source.open(split, needs)
        for (let chunk = await reader.next(); chunk !== undefined && !receiver.isSated; chunk = await reader.next())
          await receiver.receive(chunk)
      }
      await receiver.finish()
    }
    return { rows: end.values, spills }
  } finally {
    for (const close of closes) close()
    rmSync(folder, { recursive: true })
  }
}

async function expectTight(built: Pick<Flow<unknown>, 'plan' | 'toArray'>, memoryBytesMax: number, spillsMin: number): Promise<void> {
  const { rows, spills } = await runTight(built, memoryBytesMax)
  const expected = unordered(await built.toArray())
  expect(expected.length).toBeGreaterThan(100)
  if (JSON.stringify(unordered(rows)) !== JSON.stringify(expected)) expect(unordered(rows)).toEqual(expected)
  expect(spills).toBeGreaterThanOrEqual(spillsMin)
}

const kinds = ['inner', 'left', 'right', 'full', 'semi', 'anti'] as const satisfies readonly JoinKind[]

describe('buckets beyond memory', () => {
  const many = Array.from({ length: 20_000 }, (_, id) => ({ id, key: id % 9001 === 0 ? null : (id * 7919) % 15_013 }))
  const few = many
    .filter(({ id }) => id % 40 === 0)
    .map(({ id, key }) => ({ id: -id, key: key === null || id % 80 === 0 ? key : key + 0.5 }))
  const keyed = flow('f', many).keyBy('key')
  // Once, and most of the 64 buckets again.
  const spills = 1 + 50

  it('a join divides again', async () => {
    const joined = flow('l', few).join(flow('r', many).select({ rid: 'id', key: 'key' }), { on: 'key', how: 'left' })
    await expectTight(joined, 128 << 10, spills)
  })

  it('cogroup divides again', async () => {
    const grouped = flow('l', few).cogroup(flow('r', many), { on: 'key' })
    const sizes = grouped.map(({ key, left, right }) => ({ key, left: left.length, right: right.length }))
    await expectTight(sizes, 48 << 10, spills)
  })

  it('distinct divides again', async () => {
    const ids = Array.from({ length: 40_000 }, (_, id) => id)
    const { rows, spills: found } = await runTight(flow('d', ids).distinct(), 18 << 10)
    expect((rows as number[]).sort((x, y) => x - y)).toEqual(ids)
    expect(found).toBeGreaterThan(spills)
  })

  it('fold divides again', async () => {
    const sums = keyed.reduce((x, y) => ({ id: x.id + y.id, key: x.key }))
    await expectTight(sums, 32 << 10, spills)
  })

  it('aggregates divide again', async () => {
    await expectTight(keyed.aggregate({ n: count(), ids: sum('id'), all: collect('id') }), 32 << 10, spills)
  })
})

describe('one key beyond memory', () => {
  const lefts = Array.from({ length: 12 }, (_, id) => ({ id, key: id % 3 === 1 ? 1000 + id : id % 6 === 2 ? null : 1 }))
  const rights = Array.from({ length: 2000 }, (_, rid) => ({
    rid,
    key: rid % 100 === 99 ? -rid : rid % 100 === 98 ? null : 1,
    text: 'x'.repeat(50),
  }))

  it.each(kinds)('%s join takes the right rows in parts', async how => {
    const joined = flow('l', lefts).join(flow('r', rights), { on: 'key', how })
    const { rows } = await runTight(joined, 128 << 10)
    expect(unordered(rows)).toEqual(unordered(await joined.toArray()))
    const ones = flow(
      'l',
      lefts.filter(({ key }) => key === 1),
    ).join(
      flow(
        'r',
        rights.filter(({ key }) => key === 1),
      ),
      { on: 'key', how },
    )
    expect(unordered((await runTight(ones, 128 << 10)).rows)).toEqual(unordered(await ones.toArray()))
    const { rows: some } = await runTight(joined.limit(10), 128 << 10)
    expect(some.length).toBe(Math.min(10, rows.length))
  })

  it.each(['left', 'full'] as const)('%s join by a function gives each left row without a partner once', async how => {
    const joined = flow('l', lefts).join(flow('r', rights), { on: 'key', how }, (a, b) => [a?.id ?? null, b?.rid ?? null])
    expect(unordered((await runTight(joined, 128 << 10)).rows)).toEqual(unordered(await joined.toArray()))
  })

  it('is an error for cogroup, which names the limit', async () => {
    const grouped = flow('l', lefts).cogroup(flow('r', rights), { on: 'key' })
    await expect(runTight(grouped, 128 << 10)).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringContaining('raise memoryBytesMax'),
      details: { limit: 'memoryBytesMax', expected: 128 << 10 },
    })
    expect((await runTight(grouped, 1 << 20)).rows.length).toBe(lefts.filter(({ key }) => key !== null && key >= 1000).length + 22)
  })
})

/** Goal: a store whose bottom level has many pieces counts as one place to look, and a piece that is missing or there twice is found, though offsets have no hole. */
import fs from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { repair, stats, verify } from '../../../../engine/index.ts'
import { openSmall, temporaryFolder } from './databases.ts'

const key = (i: number): string => `k${String(i).padStart(4, '0')}`
const allKeys = Array.from({ length: 300 }, (_, i) => key(i))

async function makePieces(path: string): Promise<number> {
  const db = await openSmall(path, { ownSegmentBytes: 128 })
  const store = db.store<string, string>('s', { keys: 'string', value: 'string' })
  for (let half = 0; half < 2; half++) {
    const keys = allKeys.filter((_, i) => i % 2 === half)
    await store.batch(keys.map(each => ({ type: 'put', key: each, value: 'v'.repeat(400) }) as const))
    await db.seal()
  }
  await store.compact()
  const { levels, readAmplification } = store.stats()
  expect(levels).toHaveLength(1)
  expect(readAmplification).toBe(1)
  await db.close()
  return levels[0]?.runs ?? 0
}

test('pieces are one place in which a key is looked for, open or closed', async () => {
  const path = join(temporaryFolder(), 'data')
  const pieces = await makePieces(path)
  expect(pieces).toBeGreaterThan(2)
  expect((await stats(path)).stores).toMatchObject([{ readAmplification: 1, levels: [{ runs: pieces }] }])
  const db = await openSmall(path)
  const store = db.store<string, string>('s')
  await store.put(key(7), 'again')
  await db.seal()
  expect(store.stats().readAmplification).toBe(2)
  await store.put(key(8), 'in memory')
  expect(store.stats().readAmplification).toBe(3)
  await db.seal()
  await db.close()
  expect((await stats(path)).stores).toMatchObject([{ readAmplification: 3 }])
})

test('a missing piece is an error while the catalog names it, then a warning with its keys until a merge closes the gap', async () => {
  const path = join(temporaryFolder(), 'data')
  await makePieces(path)
  expect((await verify(path)).findings).toEqual([])
  const segments = fs
    .readdirSync(path)
    .filter(name => name.endsWith('.seg'))
    .sort()
  fs.rmSync(join(path, segments.at(-2) as string))
  expect((await verify(path)).ok).toBe(false)
  await repair(path)
  const { ok, findings } = await verify(path)
  expect(ok).toBe(true)
  const gap = findings.filter(({ message }) => message.includes('no piece of its bottom level'))
  expect(gap).toMatchObject([
    { severity: 'warning', message: expect.stringMatching(/^log store\/s \(\d+\): .* has the keys from 6b30[0-9a-f]* to 6b30[0-9a-f]*$/) },
  ])
  const db = await openSmall(path)
  const store = db.store<string, string>('s')
  const left = [...store.keys()]
  expect(left.length).toBeLessThan(allKeys.length)
  expect(left).toEqual(allKeys.filter(each => left.includes(each)))
  const [, from = '', to = ''] = /from ([0-9a-f]+) to ([0-9a-f]+)/.exec(gap[0]?.message ?? '') ?? []
  const lost = allKeys.filter(each => !left.includes(each))
  expect(lost[0]).toBe(Buffer.from(from, 'hex').toString())
  expect(allKeys[allKeys.indexOf(lost.at(-1) as string) + 1]).toBe(Buffer.from(to, 'hex').toString())
  await store.put(lost[0] as string, 'again')
  await db.seal()
  await store.compact()
  await db.close()
  expect((await verify(path)).findings.filter(({ message }) => message.includes('bottom level'))).toEqual([])
})

/** Goal: `stats` counts what is there without opening the database; `compact` gives space back and loses nothing. */
import fs from 'node:fs'
import { expect, test } from 'vitest'
import { compact, stats, verify } from '../../../../engine/index.ts'
import { flip, makeDatabase, openSmall, segmentsOf, valuesOf } from './databases.ts'

test('stats of a closed database', async () => {
  const path = await makeDatabase()
  const report = await stats(path)
  expect(report.segments).toMatchObject({ count: 3, parts: 15 })
  expect(report.commitLog).toMatchObject({ cleanClose: true })
  expect(report.logs).toMatchObject([
    {
      name: 'orders',
      kind: 'topic',
      startOffset: 0,
      endOffset: 70,
      flushedOffset: 60,
      parts: 3,
      partRecords: 60,
      tailBatches: 10,
      lost: [],
    },
    { name: 'prices', kind: 'topic', endOffset: 70 },
    { name: 'users', kind: 'store', endOffset: 70, parts: 6, partRecords: 60 },
  ])
  const files = Object.values(report.files).reduce((sum, { bytes }) => sum + bytes, 0)
  expect(files).toBe(report.bytes)
})

test('stats refuses damage and databases in use', async () => {
  const path = await makeDatabase()
  const database = await openSmall(path)
  await expect(stats(path)).rejects.toMatchObject({ code: 'LOCKED' })
  await database.close()
  const segment = segmentsOf(path)[0] as string
  flip(segment, fs.statSync(segment).size - 20)
  await expect(stats(path)).rejects.toMatchObject({ code: 'CORRUPT', details: { file: segment } })
  await expect(stats(`${path}/absent`)).rejects.toMatchObject({ code: 'NOT_A_DATABASE' })
})

test('compact keeps the newest record of each key and the other logs whole', async () => {
  const path = await makeDatabase()
  const steps: string[] = []
  const report = await compact(path, { onProgress: ({ step }) => steps.push(step) })
  expect(report.logs).toEqual(['prices', 'users'])
  expect(steps).toEqual(['sealing', 'merging segments', 'compacting prices', 'compacting users', 'merging segments', 'closing'])
  const database = await openSmall(path)
  expect(valuesOf(database, 'orders')).toHaveLength(70)
  expect(valuesOf(database, 'prices').sort()).toEqual(Array.from({ length: 7 }, (_, i) => `price ${63 + i}`))
  await database.close()
  expect((await verify(path)).findings.filter(({ severity }) => severity === 'error')).toEqual([])
  await expect(compact(path, { logs: ['absent'] })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(await compact(path, { logs: ['users'] })).toMatchObject({ logs: ['users'] })
})

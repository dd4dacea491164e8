/**
 * The golden folder of the draft: made by the engine once, committed, and read ever since by both readers. `GOLDEN` names it; `writeGolden` makes it
 * anew, which is allowed while version 1 is a draft and is done by UPDATE_FORMAT=1 (see test/golden/README.md).
 *
 * The folder is what a killed process left: segments of a flush and of a consolidation, carried batches, a staged commit, a reset, a trim. `expected.json`
 * holds what the engine saw in it: bounds, counts and a hash of the records of each log.
 */
import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type FolderView, openTest, viewOfEngine } from './engine-view.ts'
import { copyOf, newFolder } from './folders.ts'
import { append, define, upset } from './programs.ts'

export const GOLDEN: string = fileURLToPath(new URL('../../golden/v1-draft', import.meta.url))

/** Short enough to read in a diff, long enough to notice everything. */
export function summary(view: FolderView): unknown {
  const logs = Object.entries(view.logs).map(([name, log]) => {
    const { records, runs, ...rest } = log as { records: unknown[]; runs: unknown[][] }
    const sha256 = createHash('sha256').update(JSON.stringify({ records, runs })).digest('hex')
    return [name, { ...rest, records: records.length, runs: runs.map(run => run.length), sha256 }]
  })
  return JSON.parse(JSON.stringify({ sequence: view.sequence, logs: Object.fromEntries(logs) }))
}

export async function writeGolden(): Promise<void> {
  const folder = newFolder()
  const database = await openTest(folder, { commitLogFileBytesFirst: 32 * 1024, commitLogFileBytes: 32 * 1024 })
  await define(database)
  for (let round = 0; round < 3; round++) {
    await append(database, round)
    if (round < 2) await database.seal()
    if (round === 1) await database.consolidate()
  }
  await upset(database)
  const image = copyOf(folder)
  await database.close()
  trim(image)
  rmSync(GOLDEN, { recursive: true, force: true })
  mkdirSync(GOLDEN, { recursive: true })
  cpSync(image, `${GOLDEN}/folder`, { recursive: true })
  const seen = await openTest(image)
  writeFileSync(`${GOLDEN}/expected.json`, `${JSON.stringify(summary(viewOfEngine(seen)), null, 2)}\n`)
  await seen.close()
}

/** Takes off what means nothing: LMDB's lock, pages behind its last one, files prepared ahead and spares. */
function trim(folder: string): void {
  rmSync(`${folder}/catalog/lock.mdb`, { force: true })
  const view = readFileSync(`${folder}/catalog/data.mdb`)
  const pageSize = view.readUInt32LE(48)
  const lastPage = Math.max(Number(view.readBigUInt64LE(144)), Number(view.readBigUInt64LE(pageSize + 144)))
  truncateSync(`${folder}/catalog/data.mdb`, (lastPage + 1) * pageSize)
  for (const name of readdirSync(folder)) {
    const isUnused = /\.log$/.test(name) && readFileSync(`${folder}/${name}`).every(byte => byte === 0)
    if (isUnused || /\.tmp$|^spare-/.test(name)) rmSync(`${folder}/${name}`)
  }
}

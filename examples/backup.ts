/**
 * Backs up a database while it is written to, loses it, and restores it. The backup is one moment of all stores and logs; it shares sealed files with
 * the database where the file system can, so it is quick and takes no room until those are merged away. A restored copy shares nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, open, restore, type Store } from 'varve'

type Reading = readonly [place: string, minute: number]

function readingsOf(db: Database): Store<number, Reading> {
  return db.store<number, Reading>('readings')
}

const folder = mkdtempSync(join(tmpdir(), 'varve-backup-'))
const data = join(folder, 'data')
try {
  const db = await open(data)
  const readings = readingsOf(db)
  for (let minute = 0; minute < 99; minute++) void readings.put(['cellar', minute], 12 + Math.sin(minute))
  await readings.put(['cellar', 99], 12) // commits are durable in their order: those before it are, too

  await db.backup(join(folder, 'backup'))
  await readings.put(['cellar', 100], 40)
  console.log(`the database has ${readings.count()} readings`)
  await db.close()
  rmSync(data, { recursive: true }) // the disk is lost

  const report = await restore(join(folder, 'backup'), data) // checks every byte first
  const again = await open(data)
  console.log(`restored ${report.files > 0 ? 'and checked' : 'nothing'}: ${readingsOf(again).count()} readings`)
  await again.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

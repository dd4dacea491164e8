/**
 * A change feed that can be resumed: a second database, here in a folder of its own, follows a store of notes. Each batch of changes and the position
 * behind it go into the copy as one commit, so nothing is lost or done twice wherever the process ends.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, open, type Store } from 'varve'

function notesOf(db: Database): Store<string, string> {
  return db.store<string, string>('notes', { keys: 'string', value: 'string', changes: { retentionMs: 7 * 24 * 3_600_000 } })
}

/** Follows until the copy has what was there at the call. A service would go on until `changes({ from, signal })` is aborted. */
async function follow(source: Database, target: Database): Promise<void> {
  const copy = target.store<string, string>('copy', { keys: 'string', value: 'string' })
  const positions = target.store<number, string>('positions', { keys: 'string' })
  const from = positions.get('notes') ?? 'start'
  const end = notesOf(source).changes({ from: 'end' }).position
  console.log(`from ${from} to ${end}`)
  if (from === end) return
  for await (const { changes, position } of notesOf(source).changes({ from })) {
    await target.transaction(tx => {
      const entries = tx.store(copy)
      for (const change of changes) {
        if (change.type === 'put') entries.put(change.key, change.value)
        else if (change.type === 'del') entries.del(change.key)
        else entries.delRange(change.range)
        console.log(`  ${change.type} ${change.type === 'delRange' ? JSON.stringify(change.range) : change.key}`)
      }
      tx.store(positions).put('notes', position)
    })
    if (position >= end) break
  }
  console.log(`  copy: ${[...copy.keys()].join(' ')}`)
}

const folder = mkdtempSync(join(tmpdir(), 'varve-changes-'))
try {
  const source = await open(join(folder, 'source'))
  const target = await open(join(folder, 'target'))
  const notes = notesOf(source)
  await notes.put('monday', 'milk')
  await notes.put('tuesday', 'eggs')
  await follow(source, target)
  await notes.del('monday')
  await notes.put('wednesday', 'a goose')
  await notes.delRange({ prefix: 'tue' })
  await follow(source, target) // goes on where it was
  await follow(source, target)
  await source.close()
  await target.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

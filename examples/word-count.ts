/**
 * Word count, the first job of every MapReduce: two worker threads read files of text, count the words each of its part, and bring together what is one word. The
 * result becomes a store, all of it or nothing; the same words are counted by a flow in one line, and both must agree.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'varve'
import { flow, readText, toStore } from 'varve/compute'
import words, { type WordCount } from './jobs/words.ts'

const folder = mkdtempSync(join(tmpdir(), 'varve-words-'))
try {
  mkdirSync(join(folder, 'books'))
  writeFileSync(join(folder, 'books/one.txt'), 'So much depends\nupon a red wheel\n'.repeat(500))
  writeFileSync(join(folder, 'books/two.txt'), 'a wheel is a wheel is a wheel\n'.repeat(300))
  const files = join(folder, 'books/*.txt')

  const db = await open(join(folder, 'data'))
  const counts = db.store<WordCount, string>('counts', { indexes: { count: 'count' } })
  const report = await words.to(db, toStore(counts, { key: 'word', mode: 'replace' }), { args: { files }, workers: 2 })
  console.log(`${report.rows} words in ${report.counters.lines} lines`)
  for (const [count, word] of counts.index('count').entries({ reverse: true, limit: 3 })) console.log(word, count)

  const again = await flow('again', readText(files))
    .words()
    .map(word => word.toLowerCase())
    .keyBy(word => word)
    .count()
    .toArray()
  console.log(`alike: ${again.every(({ key, count }) => counts.get(key)?.count === count) && again.length === counts.count()}`)
  await db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** A store: put and get, ranges, an index, transactions, several writes as one, a moment to read, expiry. The README shows the part between the marks. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Database, Store } from 'varve'
// [readme]
import { open } from 'varve'

interface User {
  readonly name: string
  readonly city: string
}

export async function quickstart(folder: string): Promise<void> {
  const db = await open(folder) // a folder; created when missing
  const users = db.store<User, string>('users', { indexes: { city: 'city' } }) // the same each time it is opened
  await users.ready() // tells whether the store was defined otherwise before, and waits for new indexes
  await users.put('ada', { name: 'Ada', city: 'London' }) // resolves when power loss cannot take it
  await users.put('emmy', { name: 'Emmy', city: 'Erlangen' })
  console.log(users.get('ada')?.name) // synchronous, and sees every write at once
  for (const [key, { city }] of users.entries({ gte: 'b', limit: 10 })) console.log(key, city) // in key order
  await db.transaction(tx => {
    const ada = tx.store(users).get('ada') // serializable: what was read still holds when the writes are made
    if (ada !== undefined) tx.store(users).put('ada', { ...ada, city: 'Erlangen' })
  })
  console.log(users.index('city').getAll('Erlangen').length)
  await db.close()
}
// [/readme]

/** Tuples are keys too: everything of one user lies together, in the order of time. */
async function orders(db: Database, users: Store<User, string>): Promise<void> {
  const orders = db.store<string, readonly (string | Date)[]>('orders', { value: 'string' })
  await orders.batch([
    { type: 'put', key: ['ada', new Date('2026-01-05')], value: '12 eggs' },
    { type: 'put', key: ['ada', new Date('2026-02-07')], value: '1 goose' },
    { type: 'put', key: ['emmy', new Date('2026-01-09')], value: '1 rooster' },
    { type: 'put', key: 'grace', value: { name: 'Grace', city: 'New York' }, store: users },
  ]) // all of it or nothing
  console.log('of Ada:', [...orders.values({ prefix: ['ada'] })].join(', '))
  console.log(
    'since February:',
    [...orders.values({ gte: ['ada', new Date('2026-02-01')], lt: ['ada', new Date('2026-03-01')] })].join(', '),
  )

  const before = db.snapshot()
  await orders.delRange({ prefix: ['ada'] }) // one record, however many there are
  console.log(`${orders.count()} left, ${orders.count({ snapshot: before })} before`)
  before.close()
}

async function sessions(db: Database): Promise<void> {
  const sessions = db.store<{ user: string }, string>('sessions', { ttlMs: 30 * 60_000 })
  await sessions.put('s1', { user: 'ada' })
  await sessions.put('s2', { user: 'emmy' }, { ttlMs: 20 })
  await new Promise(resolve => setTimeout(resolve, 50))
  console.log('sessions:', [...sessions.keys()].join(', '))
  console.log('taken over:', await sessions.compareAndSet('s1', { user: 'ada' }, { user: 'grace' }))
}

const folder = mkdtempSync(join(tmpdir(), 'varve-store-'))
try {
  await quickstart(folder)
  const db = await open(folder)
  await orders(db, db.store<User, string>('users'))
  await sessions(db)
  await db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/**
 * Event sourcing: what happened is the truth, the state is derived. Each command checks the state, and appends an event and applies it to a store in one
 * transaction. Then the store is rebuilt from its topic, from the first event, and is the same.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'varve'

interface Event {
  readonly account: string
  readonly type: 'deposited' | 'withdrawn'
  readonly amount: number
}
interface Account {
  readonly balance: number
  readonly events: number
}

/** The state after one more event. */
function apply(account: Account | undefined, { type, amount }: Event): Account {
  const { balance, events } = account ?? { balance: 0, events: 0 }
  return { balance: type === 'deposited' ? balance + amount : balance - amount, events: events + 1 }
}

const folder = mkdtempSync(join(tmpdir(), 'varve-events-'))
try {
  const db = await open(folder)
  const events = db.topic<Event>('events', { partitions: 2, key: 'account' })
  const accounts = db.store<Account, string>('accounts')

  const withdraw = (account: string, amount: number): Promise<void> =>
    db.transaction(tx => {
      const before = tx.store(accounts).get(account)
      if ((before?.balance ?? 0) < amount) throw new Error(`${account} has not ${amount}`)
      const event: Event = { account, type: 'withdrawn', amount }
      tx.topic(events).send(event)
      tx.store(accounts).put(account, apply(before, event))
    })
  const deposit = (account: string, amount: number): Promise<void> =>
    db.transaction(tx => {
      const event: Event = { account, type: 'deposited', amount }
      tx.topic(events).send(event)
      tx.store(accounts).put(account, apply(tx.store(accounts).get(account), event))
    })

  for (let i = 1; i <= 10; i++) await deposit(i % 2 === 0 ? 'ada' : 'emmy', i * 10)
  await withdraw('ada', 50)
  await withdraw('emmy', 999).catch((error: Error) => console.log(`refused: ${error.message}`))

  const rebuilt = new Map<string, Account>()
  for await (const { records } of events.consume({ until: 'end' })) {
    for (const { key, value } of records) if (key !== null && value !== null) rebuilt.set(key, apply(rebuilt.get(key), value))
  }
  for (const [account, { balance, events: count }] of accounts.entries()) console.log(`${account}: ${balance} after ${count} events`)
  const sorted = [...rebuilt].sort(([left], [right]) => (left < right ? -1 : 1))
  console.log(`rebuilt alike: ${JSON.stringify(sorted) === JSON.stringify([...accounts.entries()])}`)
  await db.close()
} finally {
  rmSync(folder, { recursive: true })
}

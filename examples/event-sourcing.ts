/**
 * Event sourcing: what happened is the truth, the state is derived. Each command reads the events of its account, decides, and appends one event if nobody was
 * faster; a store follows in the same transaction. Then the store is rebuilt from its topic, from the first event, and is the same.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isVarveError, open } from 'varve'

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
  const events = db.topic<Event>('events', { partitions: 2, key: 'account', keyIndex: true })
  const accounts = db.store<Account, string>('accounts')

  /** The account as its events say, and the version that they stand for. */
  const load = (name: string): { account: Account | undefined; version: number } => {
    let account: Account | undefined
    let version = -1 // of an account without events
    for (const { value, offset } of events.readKey(name)) {
      if (value !== null) account = apply(account, value)
      version = offset
    }
    return { account, version }
  }
  /** Decides by the events and appends one, if none came in between: else CONFLICT. The store follows in the same commit. */
  const decide = (name: string, decision: (account: Account | undefined) => Event, { account, version } = load(name)): Promise<void> => {
    const event = decision(account)
    return db.transaction(tx => {
      tx.topic(events).send(event, { expectedVersion: version })
      tx.store(accounts).put(name, apply(account, event))
    })
  }
  const deposit = (account: string, amount: number): Promise<void> => decide(account, () => ({ account, type: 'deposited', amount }))
  const withdraw = async (account: string, amount: number, loaded = load(account)): Promise<void> => {
    const decision = (before: Account | undefined): Event => {
      if ((before?.balance ?? 0) < amount) throw new Error(`${account} has not ${amount}`)
      return { account, type: 'withdrawn', amount }
    }
    await decide(account, decision, loaded)
  }

  for (let i = 1; i <= 10; i++) await deposit(i % 2 === 0 ? 'ada' : 'emmy', i * 10)
  const seen = load('ada')
  await withdraw('ada', 50, seen)
  await withdraw('ada', 300, seen).catch(error => console.log(`refused: ${isVarveError(error, 'CONFLICT')}, somebody was faster`))
  await withdraw('emmy', 999).catch((error: Error) => console.log(`refused: ${error.message}`))

  const rebuilt = db.store<Account, string>('rebuilt')
  for await (const { records } of events.consume({ until: 'end' })) {
    await db.transaction(tx => {
      const part = tx.store(rebuilt)
      for (const { key, value } of records) if (key !== null && value !== null) part.put(key, apply(part.get(key), value))
    })
  }
  for (const [account, { balance, events: count }] of accounts.entries()) console.log(`${account}: ${balance} after ${count} events`)
  console.log(`rebuilt alike: ${JSON.stringify([...rebuilt.entries()]) === JSON.stringify([...accounts.entries()])}`)
  await db.close()
} finally {
  rmSync(folder, { recursive: true })
}

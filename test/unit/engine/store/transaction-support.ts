/** What the tests of transactions share: two stores in simulated time, and looks at what a database keeps. */
import { expect } from 'vitest'
import type { Database } from '../../../../engine/database.ts'
import { coreOf, type Store } from '../../../../engine/store/store.ts'
import { newEnvironment, openSim } from '../../../probes/support.ts'

export interface Given {
  readonly db: Database
  readonly store: Store<number, string>
  readonly other: Store<string, number>
}

/** Opens a database with a few entries and runs the body in simulated time. */
export async function withStores(body: (given: Given, environment: ReturnType<typeof newEnvironment>) => Promise<void>): Promise<void> {
  const environment = newEnvironment(1)
  await environment.drive(async () => {
    const db = await openSim(environment)
    const store = db.store<number, string>('numbers')
    const other = db.store<string, number>('texts')
    await store.batch(['a', 'b', 'c', 'd', 'e', 'f'].map((key, i) => ({ type: 'put', key, value: i })))
    await body({ db, store, other }, environment)
    await db.close()
  })
}

export const code = (name: string): object => expect.objectContaining({ name: 'VarveError', code: name })

export function passed(environment: ReturnType<typeof newEnvironment>, delayMs: number): Promise<void> {
  return new Promise(resolve => environment.timers.after(delayMs, resolve))
}

/** How many moments are kept. */
export function openMoments(store: Store<number, string>): number {
  return coreOf(store).host.snapshots.count
}

/** The newest commit sequence. */
export function sequenceOf(store: Store<number, string>): number {
  return coreOf(store).host.visibleSequence
}

/** What the tests of topics share: a simulated database with the facade's verbs. */
import type { SimEnvironment } from '../../../engine/env/index.ts'
import { type Consumer, type Database, type OpenOptions, open } from '../../../index.ts'
import { folder, newEnvironment, smallOptions } from '../../probes/support.ts'

export function openTopics(environment: SimEnvironment, options: OpenOptions = {}): Promise<Database> {
  return open(folder, { ...smallOptions, ...options, environment })
}

/** Runs `program` on a fresh simulated machine, and closes what it opened. */
export async function withTopics(
  seed: number,
  program: (db: Database, environment: SimEnvironment) => Promise<void>,
  options: OpenOptions = {},
): Promise<void> {
  const environment = newEnvironment(seed)
  await environment.drive(async () => {
    const db = await openTopics(environment, options)
    try {
      await program(db, environment)
    } finally {
      await db.close()
    }
  })
}

/** Runs `program` on a database in memory, in real time, and closes it. */
export async function withMemoryDatabase(program: (db: Database) => Promise<void>): Promise<void> {
  const db = await open({ storage: 'memory' })
  try {
    await program(db)
  } finally {
    await db.close()
  }
}

/** Everything a consumer with `until: 'end'` hands out: `partition:offset` and value. */
export async function readAll<V, K>(
  consumer: Consumer<V, K>,
): Promise<{ partition: number; offset: number; key: K | null; value: V | null }[]> {
  const all = []
  for await (const { records } of consumer)
    for (const { partition, offset, key, value } of records) all.push({ partition, offset, key, value })
  return all
}

/** Lets so much of the simulated time pass. */
export function sleep(environment: SimEnvironment, ms: number): Promise<void> {
  return new Promise(resolve => void environment.timers.after(ms, resolve))
}

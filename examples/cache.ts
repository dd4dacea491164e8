/** A cache in front of something slow: entries live for a while, one that is there is not computed again, also after a restart, and two who miss at once wait for one call. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, open, type Store } from 'varve'

class Cache<Value> {
  readonly #entries: Store<Value, string>
  readonly #load: (key: string) => Promise<Value>
  /** Calls under way. */
  readonly #loading: Map<string, Promise<Value>> = new Map()

  constructor(db: Database, ttlMs: number, load: (key: string) => Promise<Value>) {
    this.#entries = db.store('cache', { ttlMs, keys: 'string' })
    this.#load = load
  }

  async get(key: string): Promise<Value> {
    return this.#entries.get(key) ?? (await (this.#loading.get(key) ?? this.#fill(key)))
  }

  #fill(key: string): Promise<Value> {
    const filled = this.#load(key)
      .then(value => {
        // A cache may lose its newest entries in a crash: nobody waits for the disk.
        void this.#entries.put(key, value, { durability: 'none' })
        return value
      })
      .finally(() => this.#loading.delete(key))
    this.#loading.set(key, filled)
    return filled
  }
}

const folder = mkdtempSync(join(tmpdir(), 'varve-cache-'))
let calls = 0
const slow = async (city: string): Promise<string> => {
  calls++
  await new Promise(resolve => setTimeout(resolve, 5))
  return `weather of ${city}`
}
try {
  let db = await open(folder)
  let weather = new Cache(db, 60_000, slow)
  console.log(await Promise.all([weather.get('Ulm'), weather.get('Ulm'), weather.get('Bern')]), `${calls} calls`)
  await weather.get('Ulm')
  await db.close() // what is there goes to the disk
  db = await open(folder)
  weather = new Cache(db, 60_000, slow)
  await weather.get('Ulm')
  console.log(`after a restart: ${calls} calls`)

  const short = db.store<string, string>('short', { keys: 'string' })
  await short.put('Ulm', 'sunny', { ttlMs: 20 }) // a life of its own
  await new Promise(resolve => setTimeout(resolve, 40))
  console.log(`after its time: ${short.get('Ulm')}`)
  await db.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

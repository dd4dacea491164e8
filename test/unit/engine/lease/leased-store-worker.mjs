/**
 * Opens the lease that is its first message and reads all of its store round after round, by range and by key; a round that differs from the first one
 * ends it with an error. Answers what it saw when asked. Runs the compiled engine: Node 20 cannot run TypeScript in a worker.
 */
import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { openLease } from '../../../../dist/engine/index.js'

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort)
/** @type {{ readonly name: string, readonly keys: readonly string[] }} */
const { name, keys } = workerData

port.once('message', async description => {
  const lease = await openLease(description)
  // The user's codec: functions come by no message.
  const value = { name: 'reversed', encode: () => new Uint8Array(0), decode: (/** @type {Uint8Array} */ bytes) => bytes.reverse() }
  const store = lease.store(name, { value, cacheBytes: 64 * 1024 })
  const digest = (/** @type {Iterable<unknown>} */ items) => {
    const hash = createHash('sha1')
    for (const item of items) hash.update(String(item)).update(';')
    return hash.digest('hex')
  }
  const read = () => ({
    entries: digest(store.entries()),
    back: digest(store.entries({ reverse: true })),
    byKey: digest(store.getMany(keys)),
    count: store.count(),
  })
  const first = read()
  let rounds = 1
  let isStopped = false
  const again = () => {
    if (isStopped) return
    const seen = read()
    if (JSON.stringify(seen) !== JSON.stringify(first)) throw new Error(`round ${rounds}: ${JSON.stringify(seen)}`)
    rounds++
    setImmediate(again)
  }
  port.on('message', message => {
    if (message === 'ask') port.postMessage({ ...read(), rounds })
    if (message !== 'release') return
    isStopped = true
    lease.release()
    port.postMessage({ rounds })
  })
  port.postMessage({ ...first, rounds })
  again()
})

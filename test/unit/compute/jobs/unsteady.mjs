/** A job that builds another flow in each thread, as none should. */
import { isMainThread } from 'node:worker_threads'
import { job } from '../../../../lib/compute/index.js'

export default job(import.meta.url, 'unsteady', ({ store }) => (isMainThread ? store('events').limit(1) : store('events').limit(2)))

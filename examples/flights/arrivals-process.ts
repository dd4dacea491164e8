/**
 * A process with two consumers of the group that count arrivals until it is killed (`node arrivals-process.js <folder>`): it owns the folder meanwhile and
 * tells its parent how many arrivals are counted durably. `tallyAndKill` starts and kills it.
 */

import { fileURLToPath } from 'node:url'
import { open } from '../../index.ts'
import { countArrivals } from './arrivals.ts'

export const arrivalsScript: URL = new URL(import.meta.url)

const [, script, folder] = process.argv
if (script === fileURLToPath(import.meta.url) && folder !== undefined) {
  const database = await open(folder)
  let counted = 0
  const told = (count: number): void => {
    counted += count
    process.send?.(counted)
  }
  const never = new AbortController().signal
  await Promise.all([countArrivals(database, never, told), countArrivals(database, never, told)])
}

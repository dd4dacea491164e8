/**
 * One run of one workload in a fresh process: `child.js <workload> <small|large> <folder>`. Sends the sample, or the error, to its parent.
 */

import { Measurement } from '../measurement.ts'
import type { Sample } from '../workload.ts'
import { findWorkload } from './workloads.ts'

/** What `run.ts` receives. */
export type ChildMessage = { readonly sample: Sample } | { readonly error: string }

async function main(): Promise<ChildMessage> {
  const [, , name = '', size = '', folder = ''] = process.argv
  if (size !== 'small' && size !== 'large') return { error: `'${size}' is no size` }
  try {
    const measurement = new Measurement(folder)
    await findWorkload(name).run(measurement, size)
    return { sample: measurement.sample() }
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

const message = await main()
process.send?.(message, () => process.disconnect())
if ('error' in message) process.exitCode = 1

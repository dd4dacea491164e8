/** One task in a fresh process: `child.js <task as JSON>`. Makes a form of an input, or runs a contestant and sends the sample, or the error, to its parent. */
import { type InputForm, makeForm } from './inputs.ts'
import { runJobWorkload } from './run-workload.ts'
import type { JobSample, JobSize } from './workload.ts'
import { findJobWorkload } from './workloads.ts'

export interface JobTask {
  readonly workload: string
  readonly size: JobSize
  /** Where inputs are. */
  readonly data: string
  readonly work:
    | { readonly kind: 'make'; readonly form: InputForm }
    | { readonly kind: 'run'; readonly contestant: string; readonly own: string }
}

/** What `run.ts` receives. */
export type JobChildMessage = { readonly sample?: JobSample } | { readonly error: string }

async function main({ workload: name, size, data, work }: JobTask): Promise<JobChildMessage> {
  try {
    const workload = findJobWorkload(name)
    if (work.kind === 'run') return { sample: await runJobWorkload({ workload, contestant: work.contestant, size, data, own: work.own }) }
    await makeForm(data, workload.input, workload.parameters[size], work.form)
    return {}
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

const message = await main(JSON.parse(process.argv[2] ?? '') as JobTask)
process.send?.(message, () => process.disconnect())
if ('error' in message) process.exitCode = 1

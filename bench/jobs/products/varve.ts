/** Flows over a database that is there, or over files. Each workload has a contestant with the machine's threads, `varve`, and one with a single worker. */
import { availableParallelism } from 'node:os'
import { type Database, open } from 'varve'
import type { RunOptions } from 'varve/compute'
import type { InputForm } from '../inputs.ts'
import type { Answer, Contestant, Place, Started } from '../workload.ts'

export interface VarveJob {
  /** Default 'varve'. */
  readonly name?: string
  readonly reads: string
  readonly forms: readonly InputForm[]
  /** Default: all processors, and one. */
  readonly threads?: readonly number[]
  /** The job; resolves with what `answer` takes. The database is that of a form 'topic' or 'columns', and without one it is in memory. */
  readonly run: (db: Database, place: Place, options: RunOptions) => Promise<unknown>
  readonly answer: (result: never, place: Place) => Answer | Promise<Answer>
  readonly memoryBytesMax?: number
}

export function varve({ name = 'varve', threads = [availableParallelism(), 1], ...job }: VarveJob): Contestant[] {
  return threads.map((count, i) => ({
    name: i === 0 ? name : `${name} ${count} thread${count === 1 ? '' : 's'}`,
    product: 'varve',
    threads: count,
    reads: job.reads,
    forms: job.forms,
    start: place => startVarve(place, job),
  }))
}

/** The same over the plain topic, and over one with its fields declared. */
export function varveOverTopics(job: Omit<VarveJob, 'name' | 'reads' | 'forms'>): Contestant[] {
  return [
    ...varve({ ...job, reads: 'topic, msgpack', forms: ['topic'] }),
    ...varve({ ...job, name: 'varve columns', reads: 'topic, columns', forms: ['columns'] }),
  ]
}

async function startVarve(place: Place, { forms, run, answer, memoryBytesMax }: Omit<VarveJob, 'name' | 'threads'>): Promise<Started> {
  const form = forms.find(one => one === 'topic' || one === 'columns')
  const db = form === undefined ? await open({ storage: 'memory' }) : await open(place.path(form))
  const options: RunOptions = { workers: place.threads, ...(memoryBytesMax !== undefined && { memoryBytesMax }) }
  return {
    run: () => run(db, place, options),
    answer: result => answer(result as never, place),
    close: () => db.close(),
  }
}

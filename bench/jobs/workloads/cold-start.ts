/** A process from its start to the first result of a small job over events at rest: what a script or a function in the cloud waits for. */
import { ended, firstMessage, startScript } from '../../scripts.ts'
import type { InputForm } from '../inputs.ts'
import type { Answer, Contestant, Product } from '../workload.ts'

function starting(product: Product, name: string, reads: string, form: InputForm): Contestant {
  return {
    name,
    product,
    threads: 1,
    reads,
    forms: [form],
    start: async place => ({
      run: async watch => {
        const child = startScript('jobs/cold-start', [product, place.path(form)])
        const answer = await firstMessage<Answer>(child)
        watch.pause()
        await ended(child)
        return answer
      },
      answer: result => result as Answer,
      close: () => undefined,
    }),
  }
}

export const coldStart: readonly Contestant[] = [
  starting('varve', 'varve', 'topic, msgpack', 'topic'),
  starting('duckdb', 'duckdb table', 'its own table', 'duckdb'),
  starting('polars', 'polars csv', 'CSV', 'csv'),
  starting('javascript', 'javascript', 'CSV', 'csv'),
]

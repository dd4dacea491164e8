/** Word count as a flow of functions. */
import { count, type Job, job, readText } from 'varve/compute'

const wordClosures: Job<{ word: string; n: number }, { readonly path: string; readonly most: number }> = job(
  import.meta.url,
  'word closures',
  ({ source, args }) =>
    source(readText(args.path))
      .flatMap(line => line.split(' '))
      .keyBy(word => word)
      .aggregate({ n: count() })
      .map(({ key, n }) => ({ word: key, n }))
      .sort({ by: 'n', descending: true }, 'word')
      .limit(args.most),
)
export default wordClosures

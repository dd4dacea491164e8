/** A MapReduce each of whose functions does what the arguments of the run say. */
import { mapReduce } from '../../../../lib/compute/index.js'

export default mapReduce(import.meta.url, 'chosen-visits', {
  input: ({ store, args }) => store('visits').filter(({ at }) => at >= args.from),
  map: ({ user, page }, { emit, args }) => {
    if (page.startsWith(args.prefix)) emit([user, page], args.weight)
  },
  group: ([user], { args }) => user % args.users,
  combine: (_key, weights, { args }) => (args.adds ? weights.reduce((a, b) => a + b) : Number.NaN),
  partition: (group, { args }) => group + args.users,
  reduce: (group, weights, { emit, args }) => emit({ [args.label]: group, n: weights.reduce((a, b) => a + b) }),
})

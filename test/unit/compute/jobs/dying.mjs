/** A sort whose thread exits at one row: once, if there is a folder `args.marker` to be made, else each time. With `args.throws` a function throws there instead. */
import { mkdirSync } from 'node:fs'
import { job } from '../../../../lib/compute/index.js'

export default job(import.meta.url, 'dying', ({ store, args }) =>
  store('events')
    .map(({ id, price }) => {
      if (id !== args.at) return { id, price }
      if (args.throws) throw new RangeError(`event ${id} is poisoned`)
      try {
        if (args.marker !== undefined) mkdirSync(args.marker)
      } catch {
        return { id, price }
      }
      return process.exit(3)
    })
    .sort('price', { by: 'id', descending: true }),
)

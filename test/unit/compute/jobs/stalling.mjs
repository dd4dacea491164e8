/** A job that waits for ever at one row the first time that anybody comes there; who comes later finds the folder `args.marker`. */
import { mkdirSync } from 'node:fs'
import { job } from '../../../../lib/compute/index.js'

const isFirst = marker => {
  try {
    mkdirSync(marker)
    return true
  } catch {
    return false
  }
}

export default job(import.meta.url, 'stalling', ({ store, args }) =>
  store('events')
    .mapAsync(async ({ id, price }) => {
      if (id === args.at && isFirst(args.marker)) await new Promise(() => undefined)
      return { id, price }
    })
    .sort({ by: 'id', descending: true }),
)

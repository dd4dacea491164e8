/** A job that worker threads load: functions of all kinds over a store. */
import { col, job } from '../../../../lib/compute/index.js'

export default job(import.meta.url, 'prices', ({ store, args }) =>
  store('events')
    .filter(event => {
      if (event.id === args.failAt) throw new RangeError(`event ${event.id} is poisoned`)
      return event.price !== null
    })
    .map(({ city, price }) => ({ city, price: price * args.factor }))
    .flatMap(row => (row.price > args.most ? [] : [row]))
    .filter(col('price').gte(0))
    .keyBy(({ city }) => city.slice(0, 1))
    .fold(
      () => ({ rows: 0, total: 0 }),
      (state, row) => ({ rows: state.rows + 1, total: state.total + row.price }),
      (a, b) => ({ rows: a.rows + b.rows, total: a.total + b.total }),
    )
    .sort('key'),
)

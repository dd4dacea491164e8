/** Visits by time, without a reducer. */
import { mapReduce } from '../../../../lib/compute/index.js'

export default mapReduce(import.meta.url, 'ordered-pairs', {
  input: ({ store }) => store('visits'),
  map: ({ user, at }, { emit }) => emit(at % 1000, user),
  sort: ['value'],
  partition: 'total-order',
})

/** A MapReduce with all its parts: visits of a user in order of time, by grouping and secondary sort. */
import { mapReduce } from '../../../../lib/compute/index.js'

export default mapReduce(import.meta.url, 'visits', {
  input: ({ store }) => store('visits'),
  map: ({ user, at, page }, { emit, count }) => {
    if (page === 'poisoned') throw new RangeError('poisoned')
    count('seen')
    emit([user, at], page)
  },
  group: ([user]) => user,
  sort: [{ by: 'key', descending: true }],
  reduce: (user, pages, { emit, count }) => {
    count('users')
    emit({ user, pages: pages.length, newest: pages.slice(0, 3) })
  },
  skipBadRecords: 10,
})

/** Pages of each user's visits in the order of users and, within one, of time, newest first; `pairs`: the pairs alone. */
import { mapReduce } from '../../../../lib/compute/index.js'

export default mapReduce(import.meta.url, 'ordered', {
  input: ({ store }) => store('visits'),
  map: ({ user, at, page }, { emit }) => {
    if (page !== 'poisoned') emit([`user ${user}`, at], page)
  },
  group: ([user]) => user,
  sort: [{ by: 'key.1', descending: true }],
  partition: 'total-order',
  reduce: (user, pages, { emit }) => emit({ user, pages: pages.length, newest: pages[0] }),
})

/** Word count as everybody writes it. */
import { mapReduce } from '../../../../lib/compute/index.js'

export default mapReduce(import.meta.url, 'words', {
  input: ({ store }) => store('visits'),
  map: ({ page }, { emit }) => {
    for (const word of page.split(/\W+/)) if (word !== '') emit(word, 1)
  },
  combine: (_word, counts) => counts.reduce((a, b) => a + b),
  reduce: (word, counts, { emit }) => emit({ word, n: counts.reduce((a, b) => a + b) }),
})

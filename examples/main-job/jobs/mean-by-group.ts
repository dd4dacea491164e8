/** MapReduce over the topic: count and mean of each group. `job-steps.ts` runs it in worker threads, each of which loads this module. */

import { type Job, mapReduce } from '../../../compute/index.ts'
import { casesOf, type GroupMean, groupText } from '../groups.ts'
import type { Columns, DataRow } from '../input.ts'

/** Rows of some of a group. */
type Part = readonly [rows: number, values: number, sum: number]

interface Pair {
  readonly group: string
  readonly value: number | null
}

function joined(parts: readonly Part[]): Part {
  let rows = 0
  let values = 0
  let sum = 0
  for (const part of parts) {
    rows += part[0]
    values += part[1]
    sum += part[2]
  }
  return [rows, values, sum]
}

const meanByGroup: Job<GroupMean, Columns> = mapReduce<Pair, string, Part, GroupMean, string, Columns>(import.meta.url, 'mean-by-group', {
  input: ({ topic, args }) =>
    casesOf(topic<DataRow>('rows'), args).map(row => ({ group: groupText(row, args), value: row.value as number | null })),
  map: ({ group, value }, { emit }) => emit(group, value === null ? [1, 0, 0] : [1, 1, value]),
  combine: (_group, parts) => joined(parts), // in each task, before parts travel
  reduce: (group, parts, { emit }) => {
    const [rows, values, sum] = joined(parts)
    emit({ group, rows, mean: values === 0 ? null : sum / values })
  },
})

export default meanByGroup

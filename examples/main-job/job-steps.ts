/** The jobs over the topic's segments: the same counts and means by MapReduce and by a dataset, which must be alike, and in sum what the source has. */

import { avg, count, type Flow, flow } from '../../compute/index.ts'
import type { Database } from '../../index.ts'
import { compare, compareNumbers } from './check.ts'
import { type GroupMean, groupText, partsOf } from './groups.ts'
import type { Columns, DataRow } from './input.ts'
import meanByGroup from './jobs/mean-by-group.ts'
import type { Model } from './model.ts'
import { grouped, type Steps } from './steps.ts'
import { rowTopic } from './stores.ts'

/** By the group. */
type Means = ReadonlyMap<string, GroupMean>

export class JobSteps {
  readonly #steps: Steps
  readonly #model: Model

  constructor(steps: Steps, model: Model) {
    this.#steps = steps
    this.#model = model
  }

  async run(db: Database): Promise<void> {
    const { rows } = this.#model.all
    const { columns } = this.#model.input
    let reduced: Means = new Map()
    await this.#steps.run('MapReduce over the segments', rows, async advance => {
      reduced = meansOf(await meanByGroup.toArray(db, { args: columns, onProgress: shareOf(rows, advance) }))
      compare('rows of all groups', sumOf(reduced), rows)
      return { records: rows, bytes: 0, finding: this.#extremes(reduced) }
    })
    await this.#steps.run('dataset job over the segments', rows, async advance => {
      const means = meansOf(await datasetMeans(db, columns, shareOf(rows, advance)))
      compareMeans(means, reduced)
      return { records: rows, bytes: 0, finding: `each of the ${grouped(means.size)} counts and means is that of MapReduce` }
    })
  }

  #extremes(means: Means): string {
    const { key, by, value, time } = this.#model.input.columns
    const names = [key, ...by, ...(time === undefined ? [] : ['month'])]
    const groups = `${grouped(means.size)} groups by ${names.join(', ')}`
    const often = [...means.values()].filter(({ rows, mean }) => rows >= 30 && mean !== null)
    if (often.length === 0) return groups
    const top = often.reduce((best, one) => ((one.mean as number) > (best.mean as number) ? one : best))
    return `${groups}; of those with 30 ${this.#model.input.what} and more ${top.group} has the highest mean ${value}, ${top.mean?.toFixed(1)}`
  }
}

/** Nothing but expressions: the flow goes to worker threads as it is. */
async function datasetMeans(db: Database, columns: Columns, onProgress: (done: number, total: number) => void): Promise<GroupMean[]> {
  const { value } = columns
  const means = (flow('means', rowTopic(db)) as Flow<DataRow>)
    .keyBy(partsOf(columns))
    .aggregate({ rows: count(), ...(value === undefined ? {} : { mean: avg(value) }) })
  return (await means.toArray({ onProgress })).map(row => {
    const { rows, mean = null } = row as unknown as { rows: number; mean?: number | null }
    return { group: groupText(row as unknown as DataRow, columns), rows, mean }
  })
}

function meansOf(means: readonly GroupMean[]): Means {
  return new Map(means.map(mean => [mean.group, mean]))
}

function sumOf(means: Means): number {
  return [...means.values()].reduce((sum, { rows }) => sum + rows, 0)
}

export function compareMeans(found: Means, expected: Means): void {
  compare('groups of both jobs', found.size, expected.size)
  for (const [group, { rows, mean }] of expected) {
    compare(`both jobs: rows of ${group}`, found.get(group)?.rows, rows)
    compareNumbers(`both jobs: mean of ${group}`, found.get(group)?.mean, mean)
  }
}

/** Bytes that were read, as rows of `rows`. */
function shareOf(rows: number, advance: (by: number) => void): (done: number, total: number) => void {
  let before = 0
  return (done, total) => {
    const now = total === 0 ? rows : (rows * done) / total
    advance(now - before)
    before = now
  }
}

/** The table of workloads of jobs, with what Varve is held to. Figures of targets are for two processors. */
import { rowBytes } from '../../examples/terasort/rows.ts'
import { sampleRows } from './inputs/flights.ts'
import type { InputParameters, JobSize, JobTarget, JobWorkload } from './workload.ts'
import { coldStart } from './workloads/cold-start.ts'
import { delayByRouteAndMonth, topRoutes } from './workloads/flights.ts'
import { groupFew, groupMany, groupOutgrown } from './workloads/group.ts'
import { joinOn } from './workloads/join.ts'
import { outgrownSort, teraSort } from './workloads/sort.ts'
import { timeRange } from './workloads/time-range.ts'
import { builtInWords, closureWords } from './workloads/words.ts'

type Parameters = { readonly [size in JobSize]: InputParameters }

const events: Parameters = { small: { rows: 2000 }, short: { rows: 1_000_000 }, large: { rows: 10_000_000 } }
const flights: Parameters = { small: { rows: sampleRows }, short: { rows: 3_000_000 }, large: { rows: 3_000_000 } }
const text: Parameters = { small: { bytes: 100_000 }, short: { bytes: 20_000_000 }, large: { bytes: 200_000_000 } }

const rowsOf = ({ rows }: InputParameters): number => rows as number
const bytesOf = ({ bytes }: InputParameters): number => bytes as number
const recordBytesOf = ({ rows }: InputParameters): number => (rows as number) * rowBytes

const rss: JobTarget = { metric: 'rssBytes', atMost: 400e6 }
const rssOutgrown: JobTarget = { metric: 'rssBytes', atMost: 512e6 }
const scales = (atLeast: number): JobTarget => ({ metric: 'rate', of: 'varve 1 thread', atLeast })
/** Of group-by, where the topic declares its fields. */
const overColumns: JobTarget = { metric: 'rate', by: 'varve columns', atLeast: 40e6 }
/** JavaScript by hand over objects that are in memory, and over records that it must decode as Varve must. */
const threeTimesByHand: readonly JobTarget[] = [
  { metric: 'rate', of: 'javascript objects', atLeast: 3 },
  { metric: 'rate', of: 'javascript topic', atLeast: 3 },
]

export const jobWorkloads: readonly JobWorkload[] = [
  {
    name: 'words',
    what: '200 MB of text: the ten most frequent words',
    mode: 'flow of expressions, words()',
    sink: 'rows to the program',
    unit: 'bytes',
    input: 'text',
    parameters: text,
    operations: bytesOf,
    bytes: bytesOf,
    targets: [{ metric: 'megabytesPerSecond', atLeast: 240 }, scales(1.7), rss],
    contestants: builtInWords,
  },
  {
    name: 'words-closures',
    what: 'the same by functions of the user',
    mode: 'job of closures: flatMap, keyBy; MapReduce with a combiner',
    sink: 'rows to the program',
    unit: 'bytes',
    input: 'text',
    parameters: text,
    operations: bytesOf,
    bytes: bytesOf,
    targets: [{ metric: 'megabytesPerSecond', atLeast: 60 }, scales(1.7), rss],
    contestants: closureWords,
  },
  {
    name: 'terasort-200mb',
    what: '2 M records of 100 bytes, sorted',
    mode: 'flow of expressions over binary records',
    sink: 'files, parts in order (DuckDB: one file)',
    unit: 'records',
    input: 'records',
    parameters: { small: { rows: 2000 }, short: { rows: 200_000 }, large: { rows: 2_000_000 } },
    operations: rowsOf,
    bytes: recordBytesOf,
    targets: [{ metric: 'megabytesPerSecond', atLeast: 200 }, rss],
    contestants: teraSort,
  },
  {
    name: 'terasort-1gb',
    what: '10 M records of 100 bytes, sorted',
    mode: 'flow of expressions over binary records',
    sink: 'files, parts in order (DuckDB: one file)',
    unit: 'records',
    input: 'records',
    parameters: { small: { rows: 3000 }, short: { rows: 1_000_000 }, large: { rows: 10_000_000 } },
    operations: rowsOf,
    bytes: recordBytesOf,
    targets: [{ metric: 'megabytesPerSecond', atLeast: 120 }, rss],
    contestants: teraSort,
  },
  {
    name: 'group-20',
    what: '10 M events by category (20, text): how many, sum of amounts',
    mode: 'flow of expressions over rows, fields lazy',
    sink: 'rows to the program',
    unit: 'rows',
    input: 'events',
    parameters: events,
    operations: rowsOf,
    targets: [{ metric: 'rate', atLeast: 10e6 }, ...threeTimesByHand, overColumns, scales(1.3), rss],
    contestants: groupFew,
  },
  {
    name: 'group-1m',
    what: '10 M events by user (1 M, numbers): how many, sum of amounts; then the number of groups, the largest, the sum',
    mode: 'flow of expressions over rows, fields lazy',
    sink: 'one row to the program',
    unit: 'rows',
    input: 'events',
    parameters: events,
    operations: rowsOf,
    targets: [{ metric: 'rate', atLeast: 10e6 }, ...threeTimesByHand, overColumns, scales(1.3), rss],
    contestants: groupMany,
  },
  {
    name: 'join',
    what: '10 M events with 100 k items, by number, then by kind (10): how many, sum of amounts',
    mode: 'flow of expressions over rows, fields lazy',
    sink: 'rows to the program',
    unit: 'rows',
    input: 'events',
    parameters: events,
    operations: rowsOf,
    targets: [{ metric: 'rate', atLeast: 6e6 }, scales(1.3), rss],
    contestants: joinOn('item'),
  },
  {
    name: 'join-text',
    what: 'the same join by a text of ten characters',
    mode: 'flow of expressions over rows, fields lazy',
    sink: 'rows to the program',
    unit: 'rows',
    input: 'events',
    parameters: events,
    operations: rowsOf,
    targets: [{ metric: 'rate', atLeast: 6e6 }, rss],
    contestants: joinOn('sku'),
  },
  {
    name: 'flights-delay',
    what: '3 M flights: the ten largest mean delays of a route in a month',
    mode: 'flow of expressions over rows, fields lazy',
    sink: 'rows to the program',
    unit: 'rows',
    input: 'flights',
    parameters: flights,
    operations: rowsOf,
    targets: [scales(1.3), rss],
    contestants: delayByRouteAndMonth,
  },
  {
    name: 'flights-routes',
    what: '3 M flights: the ten routes with most flights',
    mode: 'flow of expressions over rows, fields lazy',
    sink: 'rows to the program',
    unit: 'rows',
    input: 'flights',
    parameters: flights,
    operations: rowsOf,
    targets: [scales(1.3), rss],
    contestants: topRoutes,
  },
  {
    name: 'time-range',
    what: 'of 10 M events those of a hundredth of the time: how many, sum of amounts',
    mode: 'flow of expressions, record.time',
    sink: 'one row to the program',
    unit: 'rows',
    input: 'events',
    parameters: events,
    operations: rowsOf,
    targets: [{ metric: 'rate', atLeast: 100e6 }, rss],
    contestants: timeRange,
  },
  {
    name: 'cold-start',
    what: 'a process from its start to the result of a job over 10 k events (by category: how many, sum of amounts)',
    mode: 'flow of expressions over rows, fields lazy',
    sink: 'rows to the program',
    unit: 'starts',
    input: 'events',
    parameters: { small: { rows: 500 }, short: { rows: 10_000 }, large: { rows: 10_000 } },
    operations: () => 1,
    targets: [{ metric: 'elapsedMs', atMost: 500 }],
    contestants: coldStart,
  },
  {
    name: 'sort-5gb',
    what: '50 M records of 100 bytes, sorted, in bounded memory',
    mode: 'flow of expressions over binary records, memoryBytesMax 128 MiB',
    sink: 'files, parts in order',
    unit: 'records',
    input: 'records',
    parameters: { small: { rows: 1000 }, short: { rows: 5_000_000 }, large: { rows: 50_000_000 } },
    operations: rowsOf,
    bytes: recordBytesOf,
    targets: [rssOutgrown],
    onlyByName: true,
    contestants: outgrownSort,
  },
  {
    name: 'group-50m',
    what: '50 M rows by 50 M keys, in bounded memory',
    mode: 'flow of expressions over rows, fields lazy, memoryBytesMax 96 MiB',
    sink: 'one row to the program',
    unit: 'rows',
    input: 'keys',
    parameters: { small: { rows: 2000 }, short: { rows: 5_000_000 }, large: { rows: 50_000_000 } },
    operations: rowsOf,
    targets: [rssOutgrown],
    onlyByName: true,
    contestants: groupOutgrown,
  },
]

export function findJobWorkload(name: string): JobWorkload {
  const found = jobWorkloads.find(workload => workload.name === name)
  if (found === undefined) {
    throw new RangeError(`no workload is called '${name}'; there are ${jobWorkloads.map(workload => workload.name).join(', ')}`)
  }
  return found
}

export function findContestant({ name, contestants }: JobWorkload, wanted: string): JobWorkload['contestants'][number] {
  const found = contestants.find(contestant => contestant.name === wanted)
  if (found === undefined) throw new RangeError(`${name} has no contestant '${wanted}'`)
  return found
}

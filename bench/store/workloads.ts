/**
 * The store benchmark's table of contents: db_bench's workloads (google/leveldb:benchmarks/db_bench.cc) and what Varve is held to in each. Unlike
 * db_bench's, random fills and deletions take each key exactly once, so that counts can be checked.
 */

import { bigValueBytes, share } from './parameters.ts'
import type { StoreTarget, StoreWorkload } from './workload.ts'
import { compact, openAndGet } from './workloads/maintenance.ts'
import { readWhileWriting } from './workloads/mixed.ts'
import { getRandom } from './workloads/read.ts'
import { rangeEntries, scanAll, scanRanges } from './workloads/scan.ts'
import { deleteRandom, fill, fillSync, overwrite } from './workloads/write.ts'

/** Varve's default memory budget, and what the rest of the process may take. */
const residentBytesMax = 512 * 2 ** 20 + 100e6

function toBest(atLeast: number): StoreTarget {
  return { metric: 'rate', toBestPeer: true, atLeast }
}

const calm: readonly StoreTarget[] = [
  { metric: 'loopP999Ms', atMost: 10 },
  { metric: 'loopMaxMs', atMost: 50 },
]

export const storeWorkloads: readonly StoreWorkload[] = [
  {
    name: 'fillseq',
    what: 'every key in ascending order, in batches, into an empty store',
    unit: 'puts',
    latencyOf: 'batch',
    targets: [toBest(2.5)],
    image: 'empty',
    writes: 'asItComes',
    body: run => fill(run, 'sequence'),
  },
  {
    name: 'fillrandom',
    what: 'every key in random order, in batches, into an empty store',
    unit: 'puts',
    latencyOf: 'batch',
    targets: [toBest(2.5)],
    image: 'empty',
    writes: 'asItComes',
    body: run => fill(run, 'random'),
  },
  {
    name: 'overwrite',
    what: 'as many overwrites of random keys as there are keys, in batches',
    unit: 'puts',
    latencyOf: 'batch',
    targets: [toBest(2.5), { metric: 'diskPeakToRaw', atMost: 2 }],
    image: 'filled',
    writes: 'asItComes',
    body: run => overwrite(run, 1, false),
  },
  {
    name: 'overwrite10m',
    what: 'ten overwrites for each key, random, in batches, until the engine has flushed and merged all it wants to (10 M at 1 M keys)',
    unit: 'puts',
    latencyOf: 'batch',
    targets: [toBest(1.5), { metric: 'diskPeakToRaw', atMost: 2 }, { metric: 'rssBytes', atMost: residentBytesMax }],
    image: 'filled',
    writes: 'asItComes',
    roundsMax: 1,
    body: run => overwrite(run, 10, true),
  },
  {
    name: 'fillsync',
    what: 'one durable put after the other, random keys, into an empty store',
    unit: 'puts',
    latencyOf: 'put',
    targets: [toBest(1.1)],
    image: 'empty',
    writes: 'syncSingle',
    body: run => fillSync(run, 1),
  },
  {
    name: 'fillsync-64',
    what: '64 callers, each with one durable put after the other, random keys, into an empty store',
    unit: 'puts',
    latencyOf: 'put',
    targets: [toBest(6)],
    image: 'empty',
    writes: 'syncMany',
    body: run => fillSync(run, 64),
  },
  {
    name: 'readrandom',
    what: 'random keys, one get each',
    unit: 'gets',
    latencyOf: 'get',
    targets: [toBest(1.5)],
    image: 'filled',
    body: run => getRandom(run, 'all'),
  },
  {
    name: 'readrandom-cold',
    what: "the same in a fresh process with memory for a tenth of the data; the system's page cache stays warm",
    unit: 'gets',
    latencyOf: 'get',
    targets: [toBest(1)],
    image: 'filled',
    body: run => getRandom(run, 'all', true),
  },
  {
    name: 'readmissing',
    what: 'keys that lie between those that are there',
    unit: 'gets',
    latencyOf: 'get',
    targets: [toBest(1.5)],
    image: 'filled',
    body: run => getRandom(run, 'missing'),
  },
  {
    name: 'readhot',
    what: 'random keys of one hundredth of all',
    unit: 'gets',
    latencyOf: 'get',
    targets: [toBest(1.5)],
    image: 'filled',
    body: run => getRandom(run, 'hot'),
  },
  {
    name: 'readseq',
    what: "everything in ascending order, three times, by the engine's batches",
    unit: 'entries',
    latencyOf: 'pass',
    targets: [toBest(5)],
    image: 'filled',
    body: run => scanAll(run, 'batches', false),
  },
  {
    name: 'readreverse',
    what: "everything in descending order, three times, by the engine's batches",
    unit: 'entries',
    latencyOf: 'pass',
    targets: [toBest(5)],
    image: 'filled',
    body: run => scanAll(run, 'batches', true),
  },
  {
    name: 'readseq-entries',
    what: "everything in ascending order, three times, by the engine's iterator of single entries",
    unit: 'entries',
    latencyOf: 'pass',
    targets: [toBest(3)],
    image: 'filled',
    body: run => scanAll(run, 'entries', false),
  },
  {
    name: 'range100',
    what: 'from a random key on, 100 entries',
    unit: 'ranges',
    latencyOf: 'range',
    targets: [toBest(3)],
    image: 'filled',
    body: run => scanRanges(run, rangeEntries),
  },
  {
    name: 'seekrandom',
    what: 'from a random key on, one entry',
    unit: 'seeks',
    latencyOf: 'seek',
    targets: [toBest(3)],
    image: 'filled',
    body: run => scanRanges(run, 1),
  },
  {
    name: 'readwhilewriting',
    what: '200 gets of random keys after each write of 100 random overwrites, with some writes in flight',
    unit: 'gets',
    latencyOf: 'get',
    targets: [{ metric: 'putMaxUs', atMost: 100_000 }, ...calm],
    image: 'filled',
    writes: 'asItComes',
    body: run => readWhileWriting(run, 'get'),
  },
  {
    name: 'rangewhilewriting',
    what: '2 ranges of 100 entries after each write of 100 random overwrites, with some writes in flight',
    unit: 'ranges',
    latencyOf: 'range',
    targets: [{ metric: 'putMaxUs', atMost: 100_000 }, { metric: 'p99Us', atMost: 2000 }, ...calm],
    image: 'filled',
    writes: 'asItComes',
    body: run => readWhileWriting(run, 'range'),
  },
  {
    name: 'deleterandom',
    what: 'every key deleted, in random order, in batches',
    unit: 'deletes',
    latencyOf: 'batch',
    targets: [],
    image: 'filled',
    writes: 'asItComes',
    body: deleteRandom,
  },
  {
    name: 'open',
    what: 'opened and one key read, five times, with nine times the keys (1 GB at 1 M keys)',
    unit: 'opens',
    latencyOf: 'open with the first get',
    targets: [{ metric: 'p50Us', atMost: 50_000 }],
    image: 'sequence',
    resize: parameters => ({ ...parameters, n: parameters.n * 9 }),
    body: openAndGet,
  },
  {
    name: 'compact',
    what: 'everything compacted, after each key was overwritten once in the mean',
    unit: 'keys',
    latencyOf: 'compaction',
    targets: [toBest(1), { metric: 'diskToRaw', atMost: 1.2 }],
    image: 'overwritten',
    writes: 'asItComes',
    body: compact,
  },
  {
    name: 'fill100K',
    what: 'values of 100 KB, one for each thousand keys, in batches of a hundredth of the usual',
    unit: 'puts',
    latencyOf: 'batch',
    targets: [],
    image: 'empty',
    writes: 'asItComes',
    resize: parameters => ({
      ...parameters,
      n: share(parameters.n, 1000, 20),
      valueBytes: bigValueBytes,
      batch: Math.max(1, Math.floor(parameters.batch / 100)),
    }),
    body: run => fill(run, 'random'),
  },
]

export function findStoreWorkload(name: string): StoreWorkload {
  const found = storeWorkloads.find(workload => workload.name === name)
  if (found === undefined) {
    throw new RangeError(`no workload is called '${name}'; there are ${storeWorkloads.map(workload => workload.name).join(', ')}`)
  }
  return found
}

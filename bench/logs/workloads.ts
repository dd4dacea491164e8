/**
 * The benchmark's table of contents: every workload, its sizes, and the targets that it is held to. What they do is in `workloads/` and `raw/`.
 */

import { rawPipeline, rawRead, rawWrites } from './raw/raw-disk.ts'
import { topicWorkloads } from './topic-workloads.ts'
import { type Target, type Workload, workload } from './workload.ts'
import { appendBatches, appendSingly } from './workloads/append.ts'
import { consolidate } from './workloads/consolidation.ts'
import { readDecoded, readRaw } from './workloads/read.ts'
import { openAfterClose, openAfterKill } from './workloads/recovery.ts'

const megabyte = 1 << 20

/** Whatever the engine does, the event loop goes on turning. */
const calm: Target = { metric: 'loopP999Ms', atMost: 10 }

export const workloads: readonly Workload[] = [
  workload({
    name: 'raw-pipeline',
    what: 'plain loop: encode batches on the main thread, O_DSYNC writes of about 1 MB, two buffers',
    durability: 'sync',
    unit: 'records',
    latencyOf: 'write of a group',
    targets: [],
    small: { records: 20_000, batch: 1000, groupBytes: megabyte },
    large: { records: 4_000_000, batch: 1000, groupBytes: megabyte },
    body: rawPipeline,
  }),
  workload({
    name: 'raw-write-async',
    what: 'one 4 KB O_DSYNC write after the other, each awaited',
    durability: 'sync',
    unit: 'writes',
    latencyOf: 'write',
    targets: [],
    small: { writes: 50 },
    large: { writes: 5000 },
    body: (measurement, parameters) => rawWrites(measurement, 'async', parameters),
  }),
  workload({
    name: 'raw-write-sync',
    what: 'one 4 KB O_DSYNC write after the other, blocking',
    durability: 'sync',
    unit: 'writes',
    latencyOf: 'write',
    targets: [],
    small: { writes: 50 },
    large: { writes: 5000 },
    body: (measurement, parameters) => rawWrites(measurement, 'sync', parameters),
  }),
  workload({
    name: 'raw-read',
    what: 'a file from start to end in pieces of 1 MiB into one buffer, from the page cache',
    durability: '–',
    unit: 'pieces',
    latencyOf: 'piece',
    targets: [],
    small: { bytes: 8 * megabyte, pieceBytes: megabyte, passes: 1 },
    large: { bytes: 512 * megabyte, pieceBytes: megabyte, passes: 4 },
    body: rawRead,
  }),
  workload({
    name: 'append-one-log',
    what: 'batches of 1000 records to one log',
    durability: 'sync',
    unit: 'records',
    latencyOf: 'batch',
    raw: { metric: 'rate', of: 'raw-pipeline' },
    targets: [{ metric: 'rate', atLeast: 2_500_000 }, { metric: 'rate', of: 'raw-pipeline', atLeast: 0.6 }, calm],
    small: { records: 20_000, batch: 1000, logs: 1, window: 16 },
    large: { records: 4_000_000, batch: 1000, logs: 1, window: 16 },
    body: (measurement, parameters) => appendBatches(measurement, parameters, false),
  }),
  workload({
    name: 'append-64-logs',
    what: 'the same records, batches to 64 logs in turn',
    durability: 'sync',
    unit: 'records',
    latencyOf: 'batch',
    raw: { metric: 'rate', of: 'raw-pipeline' },
    targets: [{ metric: 'elapsedMs', of: 'append-one-log', atMost: 1.4 }, calm],
    small: { records: 20_000, batch: 100, logs: 64, window: 16 },
    large: { records: 4_000_000, batch: 1000, logs: 64, window: 16 },
    body: (measurement, parameters) => appendBatches(measurement, parameters, false),
  }),
  workload({
    name: 'append-10000-logs',
    what: 'batches of 100 records to 10,000 logs in turn, until all of it lies in segments',
    durability: 'sync',
    unit: 'records',
    latencyOf: 'batch',
    raw: { metric: 'megabytesPerSecond', of: 'raw-pipeline' },
    targets: [{ metric: 'megabytesPerSecond', atLeast: 100 }, calm],
    small: { records: 4000, batch: 10, logs: 200, window: 64 },
    large: { records: 8_000_000, batch: 100, logs: 10_000, window: 160 },
    body: (measurement, parameters) => appendBatches(measurement, parameters, true),
  }),
  workload({
    name: 'append-awaited',
    what: 'one record after the other, each awaited',
    durability: 'sync',
    unit: 'appends',
    latencyOf: 'append',
    raw: { metric: 'p50Us', of: 'raw-write-async' },
    targets: [{ metric: 'p50Us', of: 'raw-write-async', atMost: 1.3 }, calm],
    small: { appends: 50, callers: 1 },
    large: { appends: 5000, callers: 1 },
    body: (measurement, parameters) => appendSingly(measurement, parameters, 'group'),
  }),
  workload({
    name: 'append-awaited-inline',
    what: "one record after the other, each awaited, with sync: 'inline'",
    durability: 'sync',
    unit: 'appends',
    latencyOf: 'append',
    raw: { metric: 'p50Us', of: 'raw-write-sync' },
    targets: [{ metric: 'p50Us', of: 'raw-write-sync', atMost: 1.15 }, calm],
    small: { appends: 50, callers: 1 },
    large: { appends: 5000, callers: 1 },
    body: (measurement, parameters) => appendSingly(measurement, parameters, 'inline'),
  }),
  workload({
    name: 'append-concurrent',
    what: '64 callers, each with one record at a time, each awaited',
    durability: 'sync',
    unit: 'appends',
    latencyOf: 'append',
    raw: { metric: 'p50Us', of: 'raw-write-async' },
    targets: [{ metric: 'rate', of: 'append-awaited', atLeast: 15 }, calm],
    small: { appends: 640, callers: 64 },
    large: { appends: 256_000, callers: 64 },
    body: (measurement, parameters) => appendSingly(measurement, parameters, 'group'),
  }),
  workload({
    name: 'read-raw',
    what: 'one log from start to end as slices of whole batches, from the page cache',
    durability: '–',
    unit: 'records',
    latencyOf: 'read',
    raw: { metric: 'megabytesPerSecond', of: 'raw-read' },
    targets: [{ metric: 'rate', atLeast: 20_000_000 }, calm],
    small: { records: 20_000, batch: 1000, bytesMax: megabyte },
    large: { records: 4_000_000, batch: 1000, bytesMax: megabyte },
    body: readRaw,
  }),
  workload({
    name: 'read-decoded',
    what: 'the same, every record as an object with key and value',
    durability: '–',
    unit: 'records',
    latencyOf: 'read',
    raw: { metric: 'megabytesPerSecond', of: 'raw-read' },
    targets: [{ metric: 'rate', atLeast: 4_000_000 }, calm],
    small: { records: 20_000, batch: 1000, bytesMax: megabyte },
    large: { records: 4_000_000, batch: 1000, bytesMax: megabyte },
    body: readDecoded,
  }),
  workload({
    name: 'open-after-kill',
    what: 'recovery: open after kill -9 with everything still in the commit log',
    durability: '–',
    unit: 'opens',
    latencyOf: 'open',
    raw: { metric: 'megabytesPerSecond', of: 'raw-pipeline' },
    targets: [{ metric: 'megabytesPerSecond', atLeast: 300 }, calm],
    small: { records: 20_000, batch: 1000 },
    large: { records: 3_000_000, batch: 1000 },
    body: openAfterKill,
  }),
  workload({
    name: 'open-after-close',
    what: 'open after a clean close',
    durability: '–',
    unit: 'opens',
    latencyOf: 'open',
    targets: [{ metric: 'elapsedMs', atMost: 50 }, calm],
    small: { records: 20_000, batch: 1000 },
    large: { records: 9_000_000, batch: 1000 },
    body: openAfterClose,
  }),
  workload({
    name: 'consolidation',
    what: 'many small segments of 16 logs merged into large ones',
    durability: 'sync',
    unit: 'records',
    latencyOf: 'consolidation',
    raw: { metric: 'megabytesPerSecond', of: 'raw-pipeline' },
    targets: [{ metric: 'megabytesPerSecond', atLeast: 300 }, calm],
    small: { records: 16_000, segments: 8, batch: 100, logs: 4 },
    large: { records: 3_072_000, segments: 48, batch: 1000, logs: 16 },
    body: consolidate,
  }),
  ...topicWorkloads,
]

export function findWorkload(name: string): Workload {
  const found = workloads.find(workload => workload.name === name)
  if (found === undefined) throw new RangeError(`no workload is called '${name}'`)
  return found
}

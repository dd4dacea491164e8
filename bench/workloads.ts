/**
 * The benchmark's table of contents: every workload, its sizes, and the targets that it is held to. What they do is in `workloads/` and `raw/`.
 */

import { rawPipeline, rawRead, rawWrites } from './raw/raw-disk.ts'
import { type Workload, workload } from './workload.ts'

const megabyte = 1 << 20

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
]

export function findWorkload(name: string): Workload {
  const found = workloads.find(workload => workload.name === name)
  if (found === undefined) throw new RangeError(`no workload is called '${name}'`)
  return found
}

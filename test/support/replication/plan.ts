/** What one seed tries: kind of log, sizes, how waits and reads are done, how rough machines and network are. */
import type { SimRandom } from '../../../engine/env/index.ts'
import type { CompressionName, LogKind, ReadBound } from '../../../engine/log/log.ts'
import type { OpenOptions } from '../../../engine/options.ts'
import type { NetworkFaults } from './network.ts'

export interface Plan {
  readonly nodes: readonly number[]
  readonly kind: LogKind
  readonly options: OpenOptions
  readonly bound: ReadBound
  readonly bytesMax: number
  readonly waitsByBound: boolean
  readonly compression: CompressionName
  readonly network: NetworkFaults
  /** Virtual ms under faults. */
  readonly roughMs: number
  /** Mean virtual ms between a client's commands, and between faults. */
  readonly commandEveryMs: number
  readonly faultEveryMs: number
  readonly commandBytesMax: number
  readonly noiseBytesMax: number
}

const KiB = 1024

export function drawPlan(random: SimRandom): Plan {
  const pick = <T>(values: readonly T[]): T => values[random.below(values.length)] as T
  const kind = pick<LogKind>(['topic', 'topic', 'store'])
  const commitLogFileBytes = pick([16, 16, 32]) * KiB
  return {
    nodes: [0, 1, 2],
    kind,
    options: {
      commitLogFileBytes,
      commitLogFileBytesFirst: pick([4 * KiB, commitLogFileBytes]),
      frameBytesMax: pick([4, 4, 8]) * KiB,
      ownSegmentBytes: pick([1 * KiB, 8 * KiB]),
      closeTailBytesMax: pick([0, 64 * KiB]),
      tailBytesMax: pick([64 * KiB, 128 * KiB, 4096 * KiB]),
      pendingBytesMax: pick([32 * KiB, 1024 * KiB]),
      sync: pick(['group', 'inline']),
    },
    bound: pick<ReadBound>(['end', 'durable']),
    bytesMax: pick([1, 2 * KiB, 64 * KiB]),
    waitsByBound: random.chance(0.5),
    compression: kind === 'topic' ? pick<CompressionName>(['none', 'none', 'gzip']) : 'none',
    network: {
      lossChance: pick([0, 0.02, 0.15]),
      duplicateChance: pick([0, 0.1]),
      delayMs: pick<readonly [number, number]>([
        [0.2, 3],
        [0.5, 30],
      ]),
    },
    roughMs: 2000 + random.below(1500),
    commandEveryMs: pick([4, 10, 25]),
    faultEveryMs: pick([150, 400, 800]),
    commandBytesMax: pick([60, 400, 1500]),
    noiseBytesMax: pick([0, 300]),
  }
}

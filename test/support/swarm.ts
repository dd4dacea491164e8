/**
 * What one seed tries: a random subset of operations with random weights, random sizes, random options. Runs that leave something out find
 * what runs with everything hide (swarm testing, Groce et al.).
 */
import type { SimRandom } from '../../engine/env/index.ts'
import type { Durability } from '../../engine/log/log.ts'
import type { OpenOptions } from '../../engine/options.ts'

const operationWeights = {
  append: 30,
  appendReady: 8,
  commitMany: 12,
  produce: 8,
  metadata: 4,
  trim: 3,
  truncate: 8,
  advance: 12,
  reset: 1,
  define: 3,
  drop: 1,
  rename: 1,
  sync: 3,
  seal: 3,
  consolidate: 2,
  compact: 2,
  lease: 3,
  releaseLease: 3,
  refuse: 2,
  killWorker: 1,
  pause: 8,
  settle: 6,
} as const

export type OperationName = keyof typeof operationWeights

const always: readonly OperationName[] = ['append', 'pause', 'settle', 'define']

export interface Swarm {
  readonly options: OpenOptions
  /** Operation names, each as often as its weight. */
  readonly operations: readonly OperationName[]
  readonly durabilities: readonly Durability[]
  readonly recordsMax: number
  readonly recordBytesMax: number
  readonly logsMax: number
}

const KiB = 1024

export function drawSwarm(random: SimRandom): Swarm {
  const pick = <T>(values: readonly T[]): T => values[random.below(values.length)] as T
  const operations: OperationName[] = []
  for (const name of Object.keys(operationWeights) as OperationName[]) {
    if (!always.includes(name) && random.chance(0.3)) continue
    const weight = Math.max(1, Math.round(operationWeights[name] * pick([0.5, 1, 2])))
    for (let i = 0; i < weight; i++) operations.push(name)
  }
  const commitLogFileBytes = pick([16, 16, 32, 64]) * KiB
  return {
    options: {
      commitLogFileBytes,
      commitLogFileBytesFirst: pick([4, 8, 16]) * KiB,
      frameBytesMax: pick([4, 8]) * KiB,
      ownSegmentBytes: pick([1, 4, 16, 64]) * KiB,
      tailBytesMax: pick([64, 128, 1024]) * KiB,
      pendingBytesMax: pick([8, 64, 4096]) * KiB,
      closeTailBytesMax: pick([0, 8, 4096]) * KiB,
      autoConsolidate: random.chance(0.8),
      sync: random.chance(0.3) ? 'inline' : 'group',
    },
    operations,
    durabilities: pick<readonly Durability[]>([
      ['sync'],
      ['sync', 'buffered'],
      ['sync', 'buffered', 'none'],
      ['buffered'],
      ['none', 'sync'],
    ]),
    recordsMax: pick([3, 8, 20]),
    recordBytesMax: pick([20, 100, 400]),
    logsMax: pick([2, 4, 8]),
  }
}

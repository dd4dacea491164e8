/**
 * What a crash keeps: the options of `SimDisk.crash` turned into decisions about operations in flight, un-synced writes, sizes and
 * names. Each decision is drawn from the seed, fixed to one extreme, or made by the test, so that small cases can be enumerated.
 */
import type { FileState, KeepWrite, UnsyncedWrite } from './file-state.ts'
import type { FolderChange, FolderState } from './folder-state.ts'
import type { DiskOperation } from './operation.ts'
import type { SimRandom } from './random.ts'

type Extreme = 'none' | 'all'

export interface CrashOptions {
  /** Seed of the decisions; default: the disk's own generator goes on. */
  readonly seed?: number
  /** Operations that were issued and not answered: whether each had begun to have its effect. Default 'seeded'. */
  readonly inFlight?: 'seeded' | Extreme | ((operation: DiskOperation) => boolean)
  /** Un-synced writes, in sectors. Default 'seeded': kept, dropped or torn, a third each. */
  readonly writes?: 'seeded' | Extreme | ((path: string, write: UnsyncedWrite) => KeepWrite)
  /** How many of a file's un-synced size changes are kept, in order. Default 'seeded'. */
  readonly sizes?: 'seeded' | Extreme | ((path: string, count: number) => number)
  /** Un-synced names, per folder: a prefix of the changes (default), a subset, or what the function returns. */
  readonly names?: 'prefix' | 'subset' | Extreme | ((folder: string, pending: readonly FolderChange[]) => readonly FolderChange[])
}

/** What a crash did, for the log of a failing test. */
export interface CrashReport {
  /** Operations in flight: what they were, and whether they had begun to have an effect. */
  readonly inFlight: readonly { readonly operation: string; readonly begun: boolean }[]
  /** Un-synced bytes that are gone, by file; files without losses are left out. */
  readonly lostBytes: ReadonlyMap<string, number>
  /** Changes of names that are gone, by folder. */
  readonly lostNames: ReadonlyMap<string, readonly string[]>
}

export class CrashPlan {
  readonly #options: CrashOptions
  readonly #random: SimRandom

  constructor(options: CrashOptions, random: SimRandom) {
    this.#options = options
    this.#random = random
  }

  begins(operation: DiskOperation): boolean {
    const { inFlight = 'seeded' } = this.#options
    if (typeof inFlight === 'function') return inFlight(operation)
    return inFlight === 'seeded' ? this.#random.chance(0.5) : inFlight === 'all'
  }

  keepWrite(file: FileState, write: UnsyncedWrite): KeepWrite {
    const { writes = 'seeded' } = this.#options
    if (typeof writes === 'function') return writes(file.label, write)
    if (writes !== 'seeded') return writes === 'all'
    const drawn = this.#random.below(3)
    return drawn === 2 ? () => this.#random.chance(0.5) : drawn === 1
  }

  keepSizes(file: FileState, count: number): number {
    const { sizes = 'seeded' } = this.#options
    if (typeof sizes === 'function') return sizes(file.label, count)
    if (sizes !== 'seeded') return sizes === 'all' ? count : 0
    return this.#random.chance(0.5) ? count : this.#random.below(count + 1)
  }

  keepNames(folder: FolderState, pending: readonly FolderChange[]): readonly FolderChange[] {
    const { names = 'prefix' } = this.#options
    if (typeof names === 'function') return names(folder.label, pending)
    if (names === 'subset') return pending.filter(() => this.#random.chance(0.5))
    if (names === 'prefix') return pending.slice(0, pending.length === 0 ? 0 : this.#random.below(pending.length + 1))
    return names === 'all' ? pending : []
  }
}

export function describeChange(change: FolderChange): string {
  return [...change.names].map(([name, node]) => `${node === undefined ? '-' : '+'}${name}`).join(' ')
}

/**
 * What the workloads ask of a key-value store. An adapter (`engines/`) translates it to one product as that product's documentation advises, with
 * its default options except where a workload sets a word of `OpenSettings`.
 *
 * Methods of synchronous engines return when the work is done; others return promises. Adapters loop over entries themselves, so that no
 * engine pays for the other's shape of entries.
 */

import type { Sink, Value } from './data.ts'
import type { ValueKind } from './parameters.ts'

/** 'asItComes': the product's default. 'syncSingle', 'syncMany': every write is durable when acknowledged, from one caller or from many at once. */
export type WriteMode = 'asItComes' | 'syncSingle' | 'syncMany'

export interface OpenSettings {
  readonly values: ValueKind
  readonly writes: WriteMode
  /** Size of an entry, for engines that bound a batch of reads by bytes. */
  readonly entryBytes: number
  /** Memory for caches (varve: for everything), bytes, where the engine has such an option. Default: the product's. */
  readonly budgetBytes?: number
}

/** Records of one write, all of the same kind. Its arrays are made for this write: an engine may keep them. */
export interface WriteBatch {
  readonly count: number
  readonly keys: readonly string[]
  /** Missing: the keys are deleted. */
  readonly values?: readonly Value[]
}

export interface ScanRange {
  readonly gte?: string
  readonly reverse?: boolean
  readonly limit?: number
}

export interface OpenStore {
  /** Whether `get` returns promises. */
  readonly getIsAsync: boolean
  /** Atomic; writes take effect in the order of the calls. */
  write(batch: WriteBatch): Promise<unknown> | undefined
  put(key: string, value: Value): Promise<unknown> | undefined
  get(key: string): Value | undefined | Promise<Value | undefined>
  /** Through the engine's fastest form for many entries. */
  scanBatches(range: ScanRange, sink: Sink): Promise<void> | undefined
  /** Through the engine's iterator of single entries. */
  scanEntries(range: ScanRange, sink: Sink): Promise<void> | undefined
  /** Moves what waits in memory or in a log to where it stays, as far as the engine offers that. */
  flush(): Promise<void> | undefined
  /** Makes the files as small as the engine can. */
  compact(): Promise<void> | undefined
  close(): Promise<void> | undefined
}

/** Word -> meaning: 'sync' survives power loss, 'buffered' the end of the process, 'buffered, synced soon' is synced right after. */
export type DurabilityName = 'sync' | 'buffered' | 'buffered, synced soon'

export interface StoreEngine {
  readonly name: string
  /** How it is used here, for the report. */
  readonly settings: string
  /** The version that would run, or why none can. */
  available(): { readonly version: string } | { readonly reason: string }
  /** What an acknowledged write survives; undefined where the engine cannot do this mode. */
  durability(writes: WriteMode): DurabilityName | undefined
  /** Whether the file is its write-ahead log, which a comparison of sizes leaves aside. */
  isLog(fileName: string): boolean
  open(folder: string, settings: OpenSettings): Promise<OpenStore>
}

/** The engines that can be compared, Varve first. */

import type { StoreEngine } from './engine.ts'
import { classicLevel } from './engines/classic-level.ts'
import { lmdb } from './engines/lmdb.ts'
import { rocksdbNative } from './engines/rocksdb-native.ts'
import { betterSqlite3, nodeSqlite } from './engines/sqlite.ts'
import { varve } from './engines/varve.ts'

export const engines: readonly StoreEngine[] = [varve, lmdb, classicLevel, betterSqlite3, nodeSqlite, rocksdbNative]

/** Ratios compare this one with the best of the others. */
export const subject = 'varve'

export function findEngine(name: string): StoreEngine {
  const found = engines.find(engine => engine.name === name)
  if (found === undefined) throw new RangeError(`no engine is called '${name}'; there are ${engines.map(engine => engine.name).join(', ')}`)
  return found
}

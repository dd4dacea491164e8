/** An explicit snapshot: abstract-level's counting of users around a moment of the engine. Made by `VarveLevel`; sublevels share it. */
import { AbstractSnapshot } from 'abstract-level'
import type { Database, ReadStoreOptions, Snapshot } from '../engine/index.ts'

/** The declarations of abstract-level leave out the constructor. */
const SnapshotBase = AbstractSnapshot as unknown as new (options: object) => AbstractSnapshot

export class LevelSnapshot extends SnapshotBase {
  /** What reads at this snapshot hand to the store. */
  readonly read: { readonly snapshot: Snapshot }
  readonly database: Database

  constructor(database: Database, options: object) {
    super(options)
    this.database = database
    this.read = { snapshot: database.snapshot() }
  }

  async _close(): Promise<void> {
    this.read.snapshot.close()
  }
}

/**
 * What reads at this snapshot hand to the store; undefined for the newest moment. Throws LEVEL_SNAPSHOT_NOT_OPEN once it is closing, and TypeError
 * for a snapshot of another database.
 */
export function readOptionsOf(snapshot: AbstractSnapshot | undefined, database: Database): ReadStoreOptions | undefined {
  if (snapshot === undefined || snapshot === null) return undefined
  if (!(snapshot instanceof LevelSnapshot) || snapshot.database !== database)
    throw new TypeError('snapshot must be a snapshot of this database')
  // Throws when it is closing; iterators are made without being counted as users.
  snapshot.ref()
  snapshot.unref()
  return snapshot.read
}

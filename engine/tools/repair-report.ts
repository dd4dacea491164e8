/** What `repair` tells: what it did (or would do), and everything that is lost, by file, byte, log and offset. */

/** A change that `repair` makes, or would make. */
export interface RepairAction {
  /** What is done to the file. */
  readonly action: 'set-aside' | 'rewrite-header' | 'cut' | 'append' | 'write-catalog'
  /** Path of the file. */
  readonly file: string
  /** For people. */
  readonly message: string
}

/** What `repair` could not find any more. */
export interface RepairLoss {
  /**
   * 'offsets': records of a log that no file holds any more. 'part': a log's share of a segment. 'segment': a whole segment of which nothing is
   * readable. 'commit-log': bytes of the commit log. 'definition': options of a log. 'edits': changes of the catalog.
   */
  readonly kind: 'offsets' | 'part' | 'segment' | 'commit-log' | 'definition' | 'edits'
  /** Name of the log; absent for what is of no log. */
  readonly log?: string
  /** Id of the log. */
  readonly logId?: number
  /** First offset that is lost. */
  readonly from?: number
  /** Offset behind the last that is lost, exclusive. */
  readonly to?: number
  /** Where it was. */
  readonly file?: string
  /** First lost byte in the file. */
  readonly position?: number
  /** Lost bytes in the file. */
  readonly bytes?: number
  /** For people. */
  readonly message: string
}

/** What `repair` found and did. */
export interface RepairReport {
  /** Folder of the database. */
  readonly path: string
  /** True: nothing was written, the report says what a repair would do. */
  readonly dryRun: boolean
  /** False: there was nothing to do. */
  readonly changed: boolean
  /** What the catalog rests on; 'sound' when it was right already. */
  readonly catalog: 'sound' | 'system log' | 'view' | 'footers'
  /** Where damaged files were put; undefined when there were none. */
  readonly damagedFolder: string | undefined
  /** What was done, or would be; empty: nothing had to be. */
  readonly actions: readonly RepairAction[]
  /** Empty: every record and every definition is still there. */
  readonly losses: readonly RepairLoss[]
  /** Decisions that somebody may want to know of. */
  readonly notes: readonly string[]
}

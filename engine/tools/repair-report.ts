/** What `repair` tells: what it did (or would do), and everything that is lost, by file, byte, log and offset. */

/** A change that `repair` makes, or would make. */
export interface RepairAction {
  readonly action: 'set-aside' | 'rewrite-header' | 'cut' | 'append' | 'write-catalog'
  readonly file: string
  readonly message: string
}

/** What `repair` could not find any more. */
export interface RepairLoss {
  /**
   * 'offsets': records of a log that no file holds any more. 'part': a log's share of a segment. 'segment': a whole segment of which nothing is
   * readable. 'commit-log': bytes of the commit log. 'definition': options of a log. 'edits': changes of the catalog.
   */
  readonly kind: 'offsets' | 'part' | 'segment' | 'commit-log' | 'definition' | 'edits'
  readonly log?: string
  readonly logId?: number
  /** Offsets [from, to). */
  readonly from?: number
  readonly to?: number
  readonly file?: string
  readonly position?: number
  readonly bytes?: number
  readonly message: string
}

/** What `repair` found and did. */
export interface RepairReport {
  readonly path: string
  /** True: nothing was written, the report says what a repair would do. */
  readonly dryRun: boolean
  /** False: there was nothing to do. */
  readonly changed: boolean
  /** What the catalog rests on; 'sound' when it was right already. */
  readonly catalog: 'sound' | 'system log' | 'view' | 'footers'
  /** Where damaged files were put; undefined when there were none. */
  readonly damagedFolder: string | undefined
  readonly actions: readonly RepairAction[]
  /** Empty: every record and every definition is still there. */
  readonly losses: readonly RepairLoss[]
  /** Decisions that somebody may want to know of. */
  readonly notes: readonly string[]
}

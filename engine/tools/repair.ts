/**
 * `repair`: makes a damaged folder one that opens again, from its files alone, and says what is lost.
 *
 * The catalog is rebuilt from the system log (its parts in segments, and the commit log), or, where edits are lost, from the view or from
 * footers. What is damaged is moved to `<path>/damaged/<time>/`, never deleted; nothing is dropped without being named in the report. Records
 * that are lost leave a gap in their log's offsets, which reads like a gap of compaction; their ranges are kept in the log's metadata (slot
 * `lost`), where `verify` and `stats` find them. Where the commit log is damaged, all behind the damage is cut off, and the offsets behind the
 * cut are given out again.
 *
 * Afterwards the database opens and `verify` finds no error. A second repair changes nothing. After a crash in the middle, repair again.
 */
import { damagedFolderName, Progress, type ProgressListener, type ToolOptions, withFolder } from './folder.ts'
import { gatherEvidence } from './repair-evidence.ts'
import { listSteps, performRepair } from './repair-perform.ts'
import { planRepair } from './repair-plan.ts'
import type { RepairReport } from './repair-report.ts'

/** How `repair` runs. */
export interface RepairOptions extends ToolOptions {
  /** Only say what would be done. Default false. */
  readonly dryRun?: boolean | undefined
  /** Called as files are read. The signal is heard while reading, not any more once changes begin. */
  readonly onProgress?: ProgressListener | undefined
}

/** Errors: LOCKED, NOT_A_DATABASE, NEWER_FORMAT (nothing is changed), IO, NO_SPACE, READ_ONLY (run it again). */
export function repair(path: string, options: RepairOptions = {}): Promise<RepairReport> {
  return withFolder(path, options, async (folder, environment): Promise<RepairReport> => {
    const evidence = await gatherEvidence(environment, folder, new Progress(folder.bytes, options.onProgress, options.signal))
    try {
      const plan = await planRepair(evidence)
      const steps = await listSteps(evidence, plan)
      const keepsCopies = steps.actions.some(({ action }) => action === 'set-aside')
      const report: RepairReport = {
        path: folder.path,
        dryRun: options.dryRun === true,
        changed: steps.actions.length > 0,
        catalog: plan.base.source,
        damagedFolder: keepsCopies ? await freeName(environment, folder.path) : undefined,
        actions: steps.actions,
        losses: plan.losses,
        notes: plan.notes,
      }
      if (options.dryRun !== true && report.changed) {
        // Readers of files that are about to go.
        for (const reader of evidence.readers.values()) reader.close()
        await performRepair(evidence, plan, steps, report)
      }
      return report
    } finally {
      for (const reader of evidence.readers.values()) reader.close()
    }
  })
}

/** A folder name for copies that is not taken: the time, and a number when two repairs fall into one millisecond. */
async function freeName(environment: Parameters<typeof gatherEvidence>[0], path: string): Promise<string> {
  const time = new Date(environment.clock.now()).toISOString().replaceAll(/[:.]/g, '-')
  for (let i = 0; ; i++) {
    const name = `${path}/${damagedFolderName}/${time}${i === 0 ? '' : `-${i}`}`
    if ((await environment.files.stat(name)) === undefined) return name
  }
}

/** Runs abstract-level's own suite, unchanged, over a class; on the database and, by the suite itself, on sublevels. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VarveLevel, type VarveLevelOptions } from '../../../level/index.ts'
import { type Failure, Tape } from './tape.ts'

type Suite = (options: { test: Tape['test']; factory: (options?: object) => VarveLevel }) => void

export const suite: Suite = createRequire(import.meta.url)('abstract-level/test') as Suite

/**
 * The suite makes hundreds of databases, so they lie in memory where the system has a folder for that, and their writes are not synced: what is
 * tested here is the interface. Options go in behind the constructor, since the suite compares those of the constructor.
 */
export class QuickLevel extends VarveLevel {
  override _open(options: object): Promise<void> {
    return super._open({ ...options, durability: 'buffered', commitLogFileBytesFirst: 16384 })
  }
}

export interface SuiteReport {
  readonly tests: number
  readonly passes: number
  readonly failures: readonly Failure[]
}

export async function runSuite(
  Level: new (location: string, options?: VarveLevelOptions<string, string>) => VarveLevel,
): Promise<SuiteReport> {
  const memory = '/dev/shm'
  const root = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), 'varve-level-'))
  try {
    const tape = new Tape()
    let count = 0
    suite({ test: tape.test, factory: options => new Level(join(root, String(count++)), options) })
    await tape.run()
    return { tests: tape.count, passes: tape.passes, failures: tape.failures }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** A temporary folder of the system for the tests of one file alone, so that what jobs leave there can be told from what those of other files use at the same time. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'

/** Call it at the top of a file of tests; returns what lists the folders that jobs have there now. */
export function ownTemporaryFolder(name: string): () => string[] {
  const before = process.env.TMPDIR
  let folder: string | undefined
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), `varve-${name}-`))
    process.env.TMPDIR = folder
  })
  afterAll(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
    if (folder !== undefined) rmSync(folder, { recursive: true })
  })
  return () => readdirSync(folder as string).filter(name => name.startsWith('varve-job-'))
}

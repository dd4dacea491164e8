/** What the tests of shuffles share. */
import { createMemoryEnvironment } from '../../../../engine/env/index.ts'
import { type Files, loadChecksums } from '../../../../engine/index.ts'

/** Files in memory with the folder '/job' of a job. */
export async function jobFiles(): Promise<Files> {
  await loadChecksums()
  const { files } = createMemoryEnvironment({ runners: {} })
  await files.makeDirectory('/job')
  return files
}

/** Runs areas one after the other and stores what each found as soon as it is there. An area that fails as a whole is reported, and the others go on. */
import type { Area, AreaOptions } from './area.ts'
import { storeArea } from './overview.ts'

export interface AreasRun {
  /** What the terminal shows, an area each. */
  readonly reports: readonly string[]
  /** One line each. */
  readonly failures: readonly string[]
}

/** `folder`: where results go. `onProgress`: what begins, and how many runs of all areas are done. */
export async function runAreas(
  areas: readonly Area[],
  options: AreaOptions,
  folder: string,
  onProgress: (what: string, done: number) => void,
): Promise<AreasRun> {
  const reports: string[] = []
  const failures: string[] = []
  let before = 0
  for (const area of areas) {
    try {
      const { results, failures: own } = await area.run(options, (what, done) => onProgress(`${area.name}, ${what}`, before + done))
      failures.push(...own.map(failure => `${area.name}: ${failure}`))
      reports.push(area.terminal(results))
      await storeArea(folder, area, results)
    } catch (error) {
      failures.push(`${area.name}: ${error instanceof Error ? error.message : String(error)}`)
    }
    before += area.countRuns(options)
  }
  return { reports, failures }
}

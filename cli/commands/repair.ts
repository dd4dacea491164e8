/** `varve repair <path>`: what was done, what is lost; exit code 5 when something is. */
import type { RepairReport } from '../../index.ts'
import { repair } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { plural, print, printJson } from '../output.ts'
import { withProgress } from '../progress.ts'

export async function runRepair(path: string, options: { readonly json: boolean; readonly dryRun: boolean }): Promise<number> {
  const report = await withProgress({ json: options.json, bytes: true }, (bar, signal) =>
    repair(path, { dryRun: options.dryRun, signal, onProgress: ({ done, total, file }) => bar.update(done, total, file) }),
  )
  if (options.json) await printJson(report)
  else await print(describe(report))
  return report.losses.length > 0 ? exitCodes.losses : exitCodes.ok
}

function describe({ path, changed, dryRun, catalog, actions, losses, notes, damagedFolder }: RepairReport): string {
  if (!changed) return `${path}: nothing to repair\n`
  const source = {
    sound: 'sound',
    'system log': 'rebuilt from the system log',
    view: 'kept; the system log is not whole',
    footers: 'rebuilt from footers',
  }
  let text = `${path}: ${dryRun ? 'would be repaired' : 'repaired'}; catalog ${source[catalog]}\n`
  for (const { action, file, message } of actions) text += `${action.padEnd(14)}  ${inside(path, file)}: ${message}\n`
  for (const { file, position, message } of losses) {
    const place = file === undefined ? '' : `${inside(path, file)}${position === undefined ? '' : ` at byte ${position}`}: `
    text += `${'lost'.padEnd(14)}  ${place}${message}\n`
  }
  for (const note of notes) text += `${'note'.padEnd(14)}  ${note}\n`
  if (damagedFolder !== undefined) text += `damaged files ${dryRun ? 'would be' : 'are'} kept in ${damagedFolder}\n`
  return `${text}${losses.length === 0 ? 'nothing is lost' : plural(losses.length, 'loss').replace('losss', 'losses')}\n`
}

function inside(path: string, file: string): string {
  return file.startsWith(`${path}/`) ? file.slice(path.length + 1) : file
}

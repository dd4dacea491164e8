/** `varve verify <path>`: findings as lines, errors first; exit code 1 when there is an error. */
import type { VerifyReport } from '../../index.ts'
import { verify } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatBytes, plural, print, printJson } from '../output.ts'
import { withProgress } from '../progress.ts'

export async function runVerify(path: string, options: { readonly json: boolean }): Promise<number> {
  const report = await withProgress({ json: options.json, bytes: true }, (bar, signal) =>
    verify(path, { signal, onProgress: ({ done, total, file }) => bar.update(done, total, file) }),
  )
  if (options.json) await printJson(report)
  else await print(describe(report))
  return report.ok ? exitCodes.ok : exitCodes.findings
}

function describe(report: VerifyReport): string {
  const { path, bytes, segments, commitLogFiles, frames, logs, records, findings } = report
  let text = `${path}: ${formatBytes(bytes)} in ${plural(segments, 'segment')} and ${plural(commitLogFiles, 'commit-log file')}, `
  text += `${plural(logs, 'log')}, ${plural(records, 'record')}, ${plural(frames, 'frame')}\n`
  for (const { severity, file, position, message } of findings) {
    const place = file.startsWith(`${path}/`) ? file.slice(path.length + 1) : file
    text += `${severity.padEnd(7)}  ${place}${position === undefined ? '' : ` at byte ${position}`}: ${message}\n`
  }
  const errors = findings.filter(({ severity }) => severity === 'error').length
  const warnings = findings.filter(({ severity }) => severity === 'warning').length
  if (errors > 0) return `${text}${plural(errors, 'error')}; \`varve repair ${path}\` makes it open again\n`
  return `${text}no errors${warnings > 0 ? `, ${plural(warnings, 'warning')}` : ''}\n`
}

/** `varve backup` and `varve restore`. */
import { restore } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatBytes, plural, print, printJson } from '../output.ts'
import { withProgress } from '../progress.ts'
import { withDatabase } from '../stores.ts'

export async function runBackup(path: string, target: string, options: { readonly json: boolean }): Promise<number> {
  const report = await withDatabase(path, { create: false }, db =>
    withProgress({ json: options.json, bytes: true }, (bar, signal) =>
      db.backup(target, { signal, onProgress: ({ done, total, file }) => bar.update(done, total, file) }),
    ),
  )
  if (options.json) await printJson(report)
  else {
    const { bytes, segments, linkedSegments } = report
    await print(`${target}: ${formatBytes(bytes)} in ${plural(segments, 'segment')}, ${linkedSegments} of them shared with ${path}\n`)
  }
  return exitCodes.ok
}

export async function runRestore(from: string, to: string, options: { readonly json: boolean }): Promise<number> {
  const report = await withProgress({ json: options.json, bytes: true }, (bar, signal) =>
    restore(from, to, { signal, onProgress: ({ done, total, file }) => bar.update(done, total, file) }),
  )
  if (options.json) await printJson(report)
  else await print(`${to}: ${formatBytes(report.bytes)} in ${plural(report.files, 'file')}, checked and copied from ${from}\n`)
  return exitCodes.ok
}

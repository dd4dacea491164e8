/**
 * A process with two members of the group that count until it is killed (`node count-process.js folder options`): it owns the folder meanwhile and tells its
 * parent how many rows are counted durably.
 */

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { open } from '../../index.ts'
import { type CountOptions, countRows } from './count.ts'
import { openOptions } from './stores.ts'

export type ProcessOptions = Pick<CountOptions, 'columns' | 'maxRecords'>

/** Runs the process on the folder and kills it when it has counted `killAt` rows; resolves to how many it had told of. `told` hears each of these numbers. */
export function countAndKill(
  folder: string,
  options: ProcessOptions,
  killAt: number,
  told: (rows: number) => void,
  script: URL = new URL(import.meta.url),
): Promise<number> {
  const child = fork(fileURLToPath(script), [folder, JSON.stringify(options)], { silent: true })
  let last = 0
  let complaint = ''
  child.stderr?.on('data', chunk => (complaint += String(chunk)))
  child.on('message', rows => {
    last = rows as number
    told(last)
    if (last >= killAt) child.kill('SIGKILL')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(last)
      else reject(new Error(`the consumers ended by themselves, exit code ${code}: ${complaint}`))
    })
  })
}

const [, script, folder, options] = process.argv
if (script === fileURLToPath(import.meta.url) && folder !== undefined && options !== undefined) {
  const db = await open(folder, openOptions)
  let counted = 0
  const told = (rows: number): void => {
    counted += rows
    process.send?.(counted)
  }
  const given = JSON.parse(options) as ProcessOptions
  await Promise.all([countRows(db, { ...given, told }), countRows(db, { ...given, told })])
}

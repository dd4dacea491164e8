/**
 * A process that consumes the change feed until it is killed (`node tally-process.js <folder>`): it owns the folder meanwhile and tells its parent each
 * position that is durable.
 */

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { open } from '../../index.ts'
import { tally } from './tally.ts'

/** Runs the process on the folder and kills it when it has told of a position beyond `killAt`; resolves to the last position that it told. */
export function tallyAndKill(
  folder: string,
  killAt: number,
  told: (position: number) => void,
  script: URL = new URL(import.meta.url),
): Promise<number> {
  const child = fork(fileURLToPath(script), [folder], { silent: true })
  let last = 0
  let complaint = ''
  child.stderr?.on('data', chunk => (complaint += String(chunk)))
  child.on('message', position => {
    last = position as number
    told(last)
    if (last >= killAt) child.kill('SIGKILL')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(last)
      else reject(new Error(`the consumer ended by itself, exit code ${code}: ${complaint}`))
    })
  })
}

const [, script, folder] = process.argv
if (script === fileURLToPath(import.meta.url) && folder !== undefined) {
  await tally(await open(folder), position => process.send?.(position))
}

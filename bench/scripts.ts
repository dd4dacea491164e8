/**
 * Starts the other programs of this folder in processes of their own: `child.ts` for one run of a workload, `workloads/victim.ts` for a writer
 * that is to be killed. Processes are started from compiled code only; code that runs from TypeScript (tests) starts its twin under `dist/`.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** `script` is a path below bench/ without extension. */
export function startScript(script: string, args: readonly string[]): ChildProcess {
  const here = fileURLToPath(new URL('.', import.meta.url))
  const folder = import.meta.url.endsWith('.ts') ? join(here, '../dist/bench') : here
  return fork(join(folder, `${script}.js`), args, { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

/** The first message of a script; rejects when it ends without one. */
export function firstMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', message => resolve(message as T))
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      reject(new Error(`${child.spawnargs.slice(1).join(' ')}: ended with ${signal ?? `exit code ${code}`}`)),
    )
  })
}

/**
 * Runs a script to its end; resolves with its message. A script that says `error` rejects with it, one that takes longer than `msMax` hangs: it is killed, and is an
 * error.
 */
export async function runScript<T extends object>(
  script: string,
  args: readonly string[],
  msMax: number,
): Promise<Exclude<T, { readonly error: string }>> {
  const child = startScript(script, args)
  const timer = setTimeout(() => child.kill('SIGKILL'), msMax)
  try {
    const message = await firstMessage<T>(child)
    await ended(child)
    if ('error' in message) throw new Error(String(message.error))
    return message as Exclude<T, { readonly error: string }>
  } finally {
    clearTimeout(timer)
  }
}

/** Resolves when the process has ended, by itself or by a signal. */
export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise(resolve => child.once('exit', () => resolve()))
}

/**
 * One round: a child works on the folder, is killed at some moment (also while it opens), and the folder is opened here and judged.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { openDatabase } from '../../engine/index.ts'
import { judge } from './judge.ts'

/** Tests and soaks run from the package's folder. */
const childPath = resolve('test/kill/child.mjs')

export class KilledFolder {
  readonly folder: string
  /** Largest commit number that was acknowledged as 'sync' or 'buffered'. */
  acknowledged = -1
  /** Number of the next child's first commit. */
  nextCommit = 0
  kills = 0
  acknowledgements = 0

  constructor(folder: string) {
    this.folder = folder
  }

  /** Starts a child, kills it after `delayMs`: from its start, or from its first append with `fromReady`. Returns what it complained of. */
  async kill(seed: number, delayMs: number, fromReady: boolean): Promise<string[]> {
    const child = spawn(process.execPath, [childPath, this.folder, String(seed), String(this.nextCommit)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const complaints: string[] = []
    let rest = ''
    let errorText = ''
    const shoot = (): void => {
      setTimeout(() => child.kill('SIGKILL'), delayMs)
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === 'R' && fromReady) shoot()
        else this.#hear(line, complaints)
      }
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errorText += text))
    if (!fromReady) shoot()
    await once(child, 'close')
    if (child.signalCode !== 'SIGKILL') complaints.push(`the child ended by itself: ${child.exitCode} ${child.signalCode} ${errorText}`)
    this.kills++
    return complaints
  }

  #hear(line: string, complaints: string[]): void {
    const [kind, text = '', word] = line.split(' ')
    if (kind === 'E') complaints.push(line)
    if (kind !== 'A') return
    this.acknowledgements++
    if (word !== 'none') this.acknowledged = Math.max(this.acknowledged, Number(text))
  }

  /** Opens the folder, whose lock is the dead child's, and judges it. The next child goes on behind the newest commit there. */
  async judge(): Promise<void> {
    const database = await openDatabase(this.folder)
    try {
      const newest = await judge(database, this.acknowledged)
      this.acknowledged = newest
      this.nextCommit = newest + 1
    } finally {
      await database.close()
    }
  }
}

/** Starts a child that holds the folder; resolves when it has it open. */
export async function holdFolder(folder: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [childPath, folder, '1', '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  // The stream is read on, so that the child never writes to a closed pipe.
  await new Promise<void>((resolveReady, reject) => {
    child.stdout.on('data', text => String(text).startsWith('R') && resolveReady())
    child.once('exit', code => reject(new Error(`the child ended with ${code}`)))
  })
  return child
}

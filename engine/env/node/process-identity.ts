/**
 * Who this process is, in words that another process (or the same pid after a reboot) can tell apart, and whether the process that a
 * lock names still runs.
 *
 * | what the lock says                               | verdict                                                            |
 * |---|---|
 * | same machine, same boot, pid gone                | stale                                                              |
 * | same machine, same boot, pid started at another time | stale: the number was given to another process                 |
 * | same host name, other boot                       | stale                                                              |
 * | other host name, or another container's pids     | live: cannot be judged from here, and guessing would cost the data |
 *
 * The start time and the boot id are known on Linux; elsewhere both are '' and only the pid decides.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import type { LockOwner } from '../environment.ts'

/** A lock's owner with the pid namespace it counts in ('' where there are none); two containers have different ones. */
export interface ProcessIdentity extends LockOwner {
  readonly pidNamespace: string
}

export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    host: hostname(),
    bootId: readOrEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    processStart: processStart(process.pid) ?? '',
    since: new Date().toISOString(),
    pidNamespace: readOrEmpty(() => readlinkSync('/proc/self/ns/pid')),
  }
}

/** undefined when the bytes are not a lock owner in JSON. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  let parsed: Partial<Record<keyof ProcessIdentity, unknown>> | null
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { pid, host, bootId, processStart: start, since, pidNamespace } = parsed
  if (!Number.isSafeInteger(pid) || (pid as number) < 1) return undefined
  if (typeof host !== 'string' || typeof bootId !== 'string' || typeof start !== 'string' || typeof since !== 'string') return undefined
  return {
    pid: pid as number,
    host,
    bootId,
    processStart: start,
    since,
    pidNamespace: typeof pidNamespace === 'string' ? pidNamespace : '',
  }
}

/** True unless it is certain that the owner no longer runs; see the table above. */
export function isAlive(owner: ProcessIdentity, here: ProcessIdentity): boolean {
  const sameHost = owner.host === here.host
  const bothBooted = owner.bootId !== '' && here.bootId !== ''
  if (bothBooted && owner.bootId !== here.bootId) return !sameHost
  const samePids = owner.pidNamespace !== '' && owner.pidNamespace === here.pidNamespace
  if (!sameHost && !(bothBooted && samePids)) return true
  if (!pidExists(owner.pid) || isZombie(owner.pid)) return false
  const start = processStart(owner.pid)
  return owner.processStart === '' || start === undefined || start === owner.processStart
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as { code?: unknown }).code !== 'ESRCH'
  }
}

/** A process that ended and waits for its parent to look: it holds nothing any more, and may wait for ever in a container without an init. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const state = stat[stat.lastIndexOf(')') + 2]
    return state === 'Z' || state === 'X'
  } catch {
    return false
  }
}

/** Field 22 of /proc/<pid>/stat, in clock ticks since boot. The name in field 2 may hold blanks and parentheses: count from the last one. */
function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

function readOrEmpty(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

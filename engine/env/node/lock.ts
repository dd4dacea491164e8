/**
 * The lock of a folder: a file that names its owner, complete from the moment it exists.
 *
 * Taking: 1. write `<path>.new-<token>` and link() it to `<path>`, which fails when that exists; 2. look for `<path>.stale-*`; when one
 * names another live owner, give back and fail. (Without hard links the file is created and then filled; hence rule B.)
 * Breaking a stale lock: rename it to `<path>.stale-<token>`, read what was caught, and remove it only when it is what was judged stale.
 * Otherwise a live lock was caught (its owner broke the stale one first): it is linked back, and stays under its `.stale-` name until
 * that has worked, where step 2 of everybody else finds it. So at no moment is a live lock invisible: it lies at `<path>` or is a
 * `.stale-` file, and whoever links `<path>` in between looks for those afterwards.
 *
 * A. An owner is stale when it certainly does not run (`process-identity.ts`).
 * B. A damaged or empty lock (power loss, or a file system without hard links) is stale when it was last written over
 *    `damagedAfterMs` ago, in either direction, since the wall clock may have been set; before that it is held by an unknown owner.
 * C. A deleted lock is not a released one, but nobody else can see that. `check()` tells the owner: it takes a missing lock again and
 *    throws LOCKED when another process has it; the database calls it before it starts new files, and stops writing when it throws.
 * D. `release` removes the file only when it is still our own.
 */
import { promises as fs } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { ioError, isVarveError, VarveError } from '../../errors.ts'
import type { FolderLock, LockOwner, Locks } from '../environment.ts'
import { isErrno } from './files.ts'
import { isAlive, ownIdentity, type ProcessIdentity, parseIdentity } from './process-identity.ts'
import { nodeRandom } from './random.ts'

const damagedAfterMs = 10_000
/** Rounds of "taken, stale, broken by somebody else" before giving up; each round means that another process moved. */
const roundsMax = 100

/** In the name of a lock file that was moved aside. Such names are never given twice, so their content cannot change. */
const caughtMark = '.stale-'

/** Locks held in this thread, by resolved path. */
const held = new Map<string, NodeLock>()

class NodeLocks implements Locks {
  async acquire(path: string): Promise<FolderLock> {
    const absolute = resolve(path)
    const holder = held.get(absolute)
    if (holder !== undefined) throw locked(path, holder.owner, 'this process has it open')
    const lock = new NodeLock(absolute)
    held.set(absolute, lock)
    try {
      await lock.take()
    } catch (error) {
      held.delete(absolute)
      throw isVarveError(error) ? error : ioError(error, path, 'taking the lock')
    }
    return lock
  }
}

export const nodeLocks: Locks = new NodeLocks()

class NodeLock implements FolderLock {
  readonly owner: LockOwner
  readonly #path: string
  readonly #here: ProcessIdentity
  /** What our lock file holds; the token makes it different from every other lock, also of this process. */
  readonly #content: string
  #released = false

  constructor(path: string) {
    this.#path = path
    this.#here = ownIdentity()
    this.owner = this.#here
    this.#content = `${JSON.stringify({ ...this.#here, token: newToken() })}\n`
  }

  async take(): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      if (await this.#create()) return this.#yieldToCaughtLocks()
      if (await this.#isOurs(this.#path)) return
      await this.#removeWhenStale(this.#path)
    }
    throw new VarveError('LOCKED', `${this.#path}: other processes keep taking the lock`, { details: { file: this.#path } })
  }

  async check(): Promise<void> {
    if (this.#released) throw new VarveError('CLOSED', `${this.#path}: the lock was released`)
    const found = await readIfPresent(this.#path)
    if (found?.content === this.#content) return
    if (found === undefined) return this.take()
    for (const path of await caughtLocks(this.#path)) if (await this.#isOurs(path)) return
    throw locked(this.#path, parseIdentity(found.content), 'the lock file was removed and taken by another process')
  }

  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    try {
      await removeIfSame(this.#path, this.#content)
      for (const path of await caughtLocks(this.#path)) {
        if (await this.#isOurs(path)) await removeIfPresent(path)
      }
    } finally {
      held.delete(this.#path)
    }
  }

  async #isOurs(path: string): Promise<boolean> {
    return (await readIfPresent(path))?.content === this.#content
  }

  /** False when the lock file exists. */
  async #create(): Promise<boolean> {
    const written = `${this.#path}.new-${newToken()}`
    await fs.writeFile(written, this.#content, { flag: 'wx' })
    try {
      await fs.link(written, this.#path)
      return true
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false
      if (!isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) throw error
      return await createWithoutLink(this.#path, this.#content)
    } finally {
      await removeIfPresent(written)
    }
  }

  /** Step 2 of taking: a live lock that somebody caught by mistake has priority over ours. */
  async #yieldToCaughtLocks(): Promise<void> {
    try {
      for (const path of await caughtLocks(this.#path)) await this.#removeWhenStale(path)
    } catch (error) {
      await removeIfSame(this.#path, this.#content)
      throw error
    }
  }

  /** Removes a stale lock file; does nothing when it is gone or changes meanwhile; throws LOCKED when its owner may be alive. */
  async #removeWhenStale(path: string): Promise<void> {
    const found = await readIfPresent(path)
    if (found === undefined || found.content === this.#content) return
    const owner = parseIdentity(found.content)
    if (owner === undefined) {
      const ageMs = Math.abs(Date.now() - found.writtenAtMs)
      if (ageMs <= damagedAfterMs) throw locked(this.#path, undefined, 'its lock file is being written, or damaged')
    } else if (isAlive(owner, this.#here)) {
      const elsewhere = owner.host === this.#here.host ? '' : ', which cannot be seen from here'
      throw locked(this.#path, owner, `process ${owner.pid} on ${owner.host}${elsewhere} has it open since ${owner.since}`)
    }
    await removeIfSame(path, found.content)
  }
}

function locked(path: string, owner: LockOwner | undefined, reason: string): VarveError {
  const named =
    owner === undefined || reason.includes(`process ${owner.pid}`) ? reason : `${reason} (process ${owner.pid} on ${owner.host})`
  return new VarveError('LOCKED', `${dirname(path)} is in use: ${named}; the lock file is ${path}`, { details: { file: path, owner } })
}

function newToken(): string {
  const part = (): string => nodeRandom.uint32().toString(16).padStart(8, '0')
  return `${process.pid}-${part()}${part()}`
}

async function createWithoutLink(path: string, content: string): Promise<boolean> {
  try {
    await fs.writeFile(path, content, { flag: 'wx' })
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  }
}

/** Removes the file if it holds `content`. What turns out to be another lock is put back; see the head of this file. */
async function removeIfSame(path: string, content: string): Promise<void> {
  if ((await readIfPresent(path))?.content !== content) return
  if (basename(path).includes(caughtMark)) return removeIfPresent(path)
  const caught = `${path}${caughtMark}${newToken()}`
  if (!(await renameIfPresent(path, caught))) return
  if ((await readIfPresent(caught))?.content !== content) {
    try {
      await fs.link(caught, path)
    } catch (error) {
      // Somebody took the lock in between and will find the caught one, which therefore has to stay.
      if (isErrno(error, 'EEXIST', 'ENOENT')) return
      throw error
    }
  }
  await removeIfPresent(caught)
}

async function caughtLocks(path: string): Promise<string[]> {
  const folder = dirname(path)
  const prefix = `${basename(path)}${caughtMark}`
  return (await fs.readdir(folder)).filter(name => name.startsWith(prefix)).map(name => join(folder, name))
}

async function readIfPresent(path: string): Promise<{ content: string; writtenAtMs: number } | undefined> {
  try {
    const handle = await fs.open(path, 'r')
    try {
      return { writtenAtMs: (await handle.stat()).mtimeMs, content: await handle.readFile('utf8') }
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

async function renameIfPresent(from: string, to: string): Promise<boolean> {
  try {
    await fs.rename(from, to)
    return true
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
}

async function removeIfPresent(path: string): Promise<void> {
  try {
    await fs.unlink(path)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

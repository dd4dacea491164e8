/**
 * A database folder in the making, for backups and restores: it has a temporary name until everything in it is on the disk, so that a folder with
 * the final name is always whole.
 *
 *   1. `create` refuses a target that holds something, makes `<target>.incomplete` (emptied, when an earlier attempt died there) and locks it
 *   2. the caller writes the catalog into `catalogFolder`, which does not have its real name yet: without one, and with this foreign name in it, no
 *      opening takes the folder for a database
 *   3. the caller links, copies and writes files; each is on the disk when the call resolves
 *   4. `finish` makes all names durable, gives the catalog its name, then the folder
 * A failure ends with `abandon`, which removes what was made; a crash leaves the temporary folder for the next attempt to empty.
 */
import { isAbsolute, relative, sep } from 'node:path'
import type { Environment, File, Files, FolderLock } from '../env/environment.ts'
import { assert, ioError, isVarveError, VarveError } from '../errors.ts'
import { catalogFolderName, lockFileName } from '../opening.ts'

const pieceBytes = 1 << 20
const incompleteSuffix = '.incomplete'
const unfinishedCatalogName = `${catalogFolderName}${incompleteSuffix}`

/** What the system says when a hard link is not possible here: another file system, none that has links, or too many of them. */
const linkRefusals: ReadonlySet<unknown> = new Set(['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/**
 * RangeError when `path` lies in the folder of a database, or is it, whatever links lead there: a foreign folder among its files, which goes when they
 * go. `option` names the argument.
 */
export async function checkOutside(files: Files, folder: string, path: string, option: string): Promise<void> {
  const way = relative(await files.resolve(folder), await files.resolve(path))
  if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way)) return
  throw new RangeError(`${option} must lie outside the folder of the database, ${folder}, got ${path}`)
}

/** Called with bytes that are in place. Throws to end the work. */
export type BytesListener = (bytes: number, file: string) => void

export class NewFolder {
  /** Where the folder lies until `finish`. */
  readonly temporary: string
  /** Where the catalog's files go until `finish`. */
  readonly catalogFolder: string
  readonly #target: string
  readonly #environment: Environment
  readonly #lock: FolderLock
  #isDone = false

  private constructor(environment: Environment, target: string, lock: FolderLock) {
    this.#environment = environment
    this.#target = target
    this.#lock = lock
    this.temporary = temporaryOf(target)
    this.catalogFolder = `${this.temporary}/${unfinishedCatalogName}`
  }

  /** Errors: EXISTS when something is in the way, LOCKED when another process works at the same target, IO, READ_ONLY, NO_SPACE. */
  static async create(environment: Environment, path: string): Promise<NewFolder> {
    const target = cleanPath(path)
    const temporary = temporaryOf(target)
    const { files } = environment
    let lock: FolderLock | undefined
    try {
      await assertFree(environment, target)
      await assertOurs(environment, temporary)
      await makeDurableFolder(environment, temporary)
      lock = await environment.locks.acquire(`${temporary}/${lockFileName}`)
      for (const name of await files.list(temporary)) {
        if (name.startsWith(lockFileName)) continue
        const found = `${temporary}/${name}`
        if ((await files.stat(found))?.isDirectory === true) await files.removeDirectory(found)
        else await files.remove(found)
      }
      await files.makeDirectory(`${temporary}/${unfinishedCatalogName}`)
      await files.syncDirectory(temporary)
      return new NewFolder(environment, target, lock)
    } catch (error) {
      // What holds something else, or is another process's, stays; the first error is the one to report.
      const isOurs = !isVarveError(error, 'EXISTS') && !isVarveError(error, 'LOCKED')
      if (isOurs) await files.removeDirectory(temporary).catch(() => undefined)
      await lock?.release().catch(() => undefined)
      throw ioError(error, temporary, 'creating the folder')
    }
  }

  /** Gives the file a second name here, or copies it where that is not possible. Resolves to whether it was linked. */
  async link(from: string, name: string, added: BytesListener): Promise<boolean> {
    const { files } = this.#environment
    const to = `${this.temporary}/${name}`
    try {
      await files.link(from, to)
    } catch (error) {
      if (!linkRefusals.has((error as { code?: unknown }).code)) throw ioError(error, to, `linking ${from}`)
      await this.copy(from, name, added)
      return false
    }
    added((await files.stat(to))?.size ?? 0, from)
    return true
  }

  /** Copies the file; on the disk when it resolves. */
  async copy(from: string, name: string, added: BytesListener): Promise<void> {
    const { files } = this.#environment
    let source: File
    try {
      source = await files.open(from, 'read')
    } catch (error) {
      throw ioError(error, from, 'reading')
    }
    try {
      await this.write(name, async target => {
        const size = await source.size()
        const piece = new Uint8Array(Math.min(size, pieceBytes))
        for (let at = 0; at < size; ) {
          const got = await source.read(piece.subarray(0, Math.min(piece.byteLength, size - at)), at)
          if (got === 0)
            throw new VarveError('IO', `${from}: became shorter while it was copied`, { details: { file: from, position: at } })
          await target.write(piece.subarray(0, got), at)
          at += got
          added(got, from)
        }
      })
    } finally {
      await source.close()
    }
  }

  /** Makes a file with what `fill` writes; on the disk when it resolves. `name` may lie in the catalog's folder. */
  async write(name: string, fill: (file: File) => Promise<void>): Promise<void> {
    const path = `${this.temporary}/${name}`
    try {
      const file = await this.#environment.files.open(path, 'create')
      try {
        await fill(file)
        await file.sync()
      } finally {
        await file.close()
      }
    } catch (error) {
      throw error instanceof Error && error.name === 'AbortError' ? error : asIoError(error, path)
    }
  }

  /** Size of the catalog's files. */
  async catalogBytes(): Promise<number> {
    const { files } = this.#environment
    let bytes = 0
    for (const name of await files.list(this.catalogFolder)) bytes += (await files.stat(`${this.catalogFolder}/${name}`))?.size ?? 0
    return bytes
  }

  /** Gives the folder its name; power loss cannot take it any more when this resolves. EXISTS when something lies there by now. */
  async finish(): Promise<void> {
    assert(!this.#isDone, 'a new folder is finished once')
    const { files } = this.#environment
    try {
      await files.syncDirectory(this.catalogFolder)
      await files.syncDirectory(this.temporary)
      await files.rename(this.catalogFolder, `${this.temporary}/${catalogFolderName}`)
      await files.syncDirectory(this.temporary)
      await assertFree(this.#environment, this.#target)
      await files.rename(this.temporary, this.#target)
      // Nobody looked for the lock under this name. Its own release finds nothing more to remove.
      await files.remove(`${this.#target}/${lockFileName}`)
      await files.syncDirectory(this.#target)
      await files.syncDirectory(parentOf(this.#target))
    } catch (error) {
      const code = (error as { code?: unknown }).code
      if (code === 'ENOTEMPTY' || code === 'EEXIST') throw existing(this.#target, 'is not empty')
      throw ioError(error, this.#target, 'naming the folder')
    }
    this.#isDone = true
    await this.#lock.release().catch(() => undefined) // its folder has another name by now: there is nothing left to remove
  }

  /** Removes what was made. What cannot be removed stays under its temporary name. */
  async abandon(): Promise<void> {
    if (this.#isDone) return
    this.#isDone = true
    await this.#environment.files.removeDirectory(this.temporary).catch(() => undefined) // the reason of the failure is the one to report
    await this.#lock.release().catch(() => undefined) // as above
  }
}

/** Name of a file in the unfinished catalog, for `copy`. */
export function catalogFile(name: string): string {
  return `${unfinishedCatalogName}/${name}`
}

/** An operating-system error with its file; a caller's signal and errors that are typed already pass. */
function asIoError(error: unknown, path: string): unknown {
  return typeof (error as { code?: unknown } | null)?.code === 'string' ? ioError(error, path, 'writing') : error
}

function cleanPath(path: string): string {
  const clean = path.replace(/\/+$/, '')
  return clean === '' ? '/' : clean
}

function temporaryOf(target: string): string {
  return `${target}${incompleteSuffix}`
}

function existing(path: string, reason: string): VarveError {
  return new VarveError('EXISTS', `${path}: ${reason}; a new folder is needed`, { details: { file: path } })
}

async function assertFree({ files }: Environment, path: string): Promise<void> {
  const stat = await files.stat(path)
  if (stat === undefined) return
  if (!stat.isDirectory) throw existing(path, 'is a file')
  if ((await files.list(path)).length > 0) throw existing(path, 'is not empty')
}

/** Only what an earlier attempt may have left is ever emptied. */
async function assertOurs({ files }: Environment, path: string): Promise<void> {
  const stat = await files.stat(path)
  if (stat === undefined) return
  if (!stat.isDirectory) throw existing(path, 'is a file')
  const ours = /^(lock.*|catalog(\.incomplete)?|(commit|staged)-\d+\.log|segment-\d+\.seg)$/
  const foreign = (await files.list(path)).find(name => !ours.test(name))
  if (foreign !== undefined) throw existing(path, `holds what no backup has left there (${foreign})`)
}

/** The folder, and each missing one above it, with names that power loss cannot take. */
async function makeDurableFolder({ files }: Environment, path: string): Promise<void> {
  const made: string[] = []
  for (let folder = path; (await files.stat(folder)) === undefined && parentOf(folder) !== folder; folder = parentOf(folder))
    made.push(folder)
  await files.makeDirectory(path)
  for (const folder of made.reverse()) await files.syncDirectory(parentOf(folder))
}

/** The folder that a path lies in. */
function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  if (slash < 0) return '.'
  return slash === 0 ? '/' : path.slice(0, slash)
}

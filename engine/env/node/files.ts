/**
 * Files and folders over node:fs. Opens hand out `NodeFile`; everything else is one system call, or a loop that Node provides.
 *
 * 'write-dsync' opens with O_DSYNC on Linux, where it was measured to halve the cost of a durable write; elsewhere the handle says
 * `dsync: false` and its owner syncs after writing. A folder is synced by opening it for reading and calling fsync; Windows refuses
 * (EPERM, EISDIR), and only there the refusal is ignored.
 */
import fs from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { File, FileStat, Files, OpenMode } from '../environment.ts'
import { NodeFile } from './file.ts'

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = fs.constants
const hasDsync = process.platform === 'linux' && typeof fs.constants.O_DSYNC === 'number'

const openFlags: Record<OpenMode, number> = {
  read: O_RDONLY,
  write: O_RDWR,
  'write-dsync': hasDsync ? O_RDWR | fs.constants.O_DSYNC : O_RDWR,
  create: O_RDWR | O_CREAT | O_EXCL,
}

class NodeFiles implements Files {
  open(path: string, mode: OpenMode): Promise<File> {
    return new Promise((resolve, reject) => {
      fs.open(path, openFlags[mode], 0o666, (error, fd) =>
        error === null ? resolve(new NodeFile(path, fd, hasDsync && mode === 'write-dsync')) : reject(error),
      )
    })
  }

  openSync(path: string, mode: OpenMode): File {
    return new NodeFile(path, fs.openSync(path, openFlags[mode], 0o666), hasDsync && mode === 'write-dsync')
  }

  async list(path: string): Promise<string[]> {
    return (await fs.promises.readdir(path)).sort()
  }

  listSync(path: string): string[] {
    return fs.readdirSync(path).sort()
  }

  async stat(path: string): Promise<FileStat | undefined> {
    try {
      return toFileStat(await fs.promises.stat(path))
    } catch (error) {
      return absentOrThrow(error)
    }
  }

  statSync(path: string): FileStat | undefined {
    try {
      return toFileStat(fs.statSync(path))
    } catch (error) {
      return absentOrThrow(error)
    }
  }

  /** Step by step: Node's own recursion never ends where a folder that is there takes no others and says ENOENT, as those of /proc do. */
  async makeDirectory(path: string): Promise<void> {
    try {
      await fs.promises.mkdir(path)
    } catch (error) {
      if (isErrno(error, 'EEXIST') && (await this.stat(path))?.isDirectory === true) return
      const parent = dirname(path)
      if (!isErrno(error, 'ENOENT') || (await this.stat(parent)) !== undefined) throw error
      await this.makeDirectory(parent)
      await this.makeDirectory(path)
    }
  }

  rename(from: string, to: string): Promise<void> {
    return fs.promises.rename(from, to)
  }

  link(from: string, to: string): Promise<void> {
    return fs.promises.link(from, to)
  }

  remove(path: string): Promise<void> {
    return fs.promises.unlink(path)
  }

  async resolve(given: string): Promise<string> {
    const rest: string[] = []
    for (let path = resolve(given); ; path = dirname(path)) {
      try {
        return join(await fs.promises.realpath(path), ...rest)
      } catch (error) {
        // The root is there always; what leads nowhere has no real path, but its folder has one.
        if (!isErrno(error, 'ENOENT', 'ENOTDIR') || path === dirname(path)) throw error
        const target = await linkTarget(path)
        if (target !== undefined) return await this.resolve(join(target, ...rest))
        rest.unshift(basename(path))
      }
    }
  }

  removeDirectory(path: string): Promise<void> {
    return fs.promises.rm(path, { recursive: true, force: true, maxRetries: 3 })
  }

  async syncDirectory(path: string): Promise<void> {
    try {
      const handle = await fs.promises.open(path, 'r')
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    } catch (error) {
      if (process.platform !== 'win32' || !isErrno(error, 'EPERM', 'EISDIR')) throw error
    }
  }
}

/** Node's file system. */
export const nodeFiles: Files = new NodeFiles()

/** Where a link that leads to nothing yet leads; undefined for what is no link. */
async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return resolve(dirname(path), await fs.promises.readlink(path))
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EINVAL', 'ENOTDIR')) return undefined
    throw error
  }
}

/** True for an operating-system error with one of these codes. */
export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && codes.includes(code)
}

function toFileStat(stats: fs.Stats): FileStat {
  return { size: stats.size, isDirectory: stats.isDirectory() }
}

function absentOrThrow(error: unknown): undefined {
  if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
  throw error
}

/**
 * `restore`: checks a backup (or any closed database) byte by byte with `verify`, and copies it into a new folder. The copy shares nothing with the
 * backup, so the backup stays what it is whatever happens to the copy.
 */
import { catalogFile, checkOutside, NewFolder } from '../backup/new-folder.ts'
import { typedError, VarveError } from '../errors.ts'
import { catalogDataName, type Folder, type ProgressListener, resolveEnvironment, type ToolOptions, withFolder } from './folder.ts'
import { verify } from './verify.ts'

/** How `restore` runs. */
export interface RestoreOptions extends ToolOptions {
  /** Bytes of checking and of copying: `total` is twice the size of the backup. */
  readonly onProgress?: ProgressListener | undefined
}

/** What `restore` copied. */
export interface RestoreReport {
  /** The new folder. */
  readonly path: string
  /** The backup. */
  readonly from: string
  /** Bytes copied. */
  readonly bytes: number
  /** Files copied. */
  readonly files: number
}

/**
 * Errors: those of `verify` for `from` (LOCKED, NOT_A_DATABASE, NEWER_FORMAT, IO), CORRUPT when it is damaged (the first finding; `verify` tells all),
 * EXISTS when `to` holds something, NO_SPACE, IO, READ_ONLY, the signal's reason. After an error there is nothing new at `to`.
 */
export async function restore(from: string, to: string, options: RestoreOptions = {}): Promise<RestoreReport> {
  if (typeof to !== 'string' || to.length === 0) throw new TypeError('to must be a non-empty string')
  const environment = resolveEnvironment(options.environment)
  const { signal, onProgress } = options
  // Before hours of checking: a target that is in the way is told at once. Its temporary folder is locked until the end.
  const fromBytes = await withFolder(from, { environment, signal }, async folder => folder.bytes)
  await checkOutside(environment.files, from, to, 'to')
  const target = await NewFolder.create(environment, to)
  try {
    const checked = await verify(from, {
      environment,
      signal,
      onProgress: ({ done, total, file }) => onProgress?.({ done, total: total + fromBytes, file }),
    })
    const damage = checked.findings.find(({ severity }) => severity === 'error')
    if (damage !== undefined) {
      throw new VarveError(
        'CORRUPT',
        `${from}: is damaged and is not restored: ${damage.file}: ${damage.message}; see \`varve verify ${from}\``,
        {
          details: { file: damage.file, ...(damage.position === undefined ? {} : { position: damage.position }) },
        },
      )
    }
    const copied = await withFolder(from, { environment, signal }, async folder => {
      let done = 0
      const added = (bytes: number, file: string): void => {
        signal?.throwIfAborted()
        done += bytes
        onProgress?.({ done: checked.bytes + done, total: checked.bytes + folder.bytes, file })
      }
      for (const [path, name] of filesOf(folder)) await target.copy(path, name, added)
      await target.finish()
      return { bytes: done, files: filesOf(folder).length }
    })
    return { path: to, from, ...copied }
  } catch (error) {
    await target.abandon()
    throw typedError(error, to, 'restoring')
  }
}

/** What a database consists of: path and name in the copy. Spare and unfinished files are not part of it. */
function filesOf(folder: Folder): [string, string][] {
  const named = [...folder.segments, ...folder.commits, ...folder.staged].map(({ path }): [string, string] => [
    path,
    path.slice(folder.path.length + 1),
  ])
  return folder.catalogBytes === undefined ? named : [...named, [`${folder.catalogPath}/${catalogDataName}`, catalogFile(catalogDataName)]]
}

/** Which files a path or a pattern names. Patterns are those of picomatch: `*` and `?` within a name, `**` over folders, `{a,b}`, `[0-9]`. */
import { posix } from 'node:path'
import picomatch from 'picomatch'
import { type Files, VarveError } from '../../engine/index.ts'

export interface FoundFile {
  readonly path: string
  readonly size: number
}

/** Sorted by path. A folder stands for all files in it and below it but those whose names begin with a dot or an underscore. NOT_FOUND when there are none. */
export async function findFiles(paths: readonly string[], files: Files): Promise<FoundFile[]> {
  const found = new Map<string, FoundFile>()
  for (const path of paths) {
    const ofThis = await filesOf(path, files)
    if (ofThis.length === 0) throw new VarveError('NOT_FOUND', `there is no file ${path}`, { details: { file: path } })
    for (const file of ofThis) found.set(file.path, file)
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

async function filesOf(path: string, files: Files): Promise<FoundFile[]> {
  const stat = await files.stat(path)
  if (stat !== undefined) return stat.isDirectory ? await below(path, files) : [{ path, size: stat.size }]
  const { base, glob } = picomatch.scan(path.replaceAll('\\', '/'))
  if (glob === '') return []
  const isMatch = picomatch(glob)
  const root = base === '' ? '.' : base
  const all = await below(root, files)
  return all.filter(file => isMatch(posix.relative(root, file.path.replaceAll('\\', '/'))))
}

async function below(folder: string, files: Files): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  if ((await files.stat(folder))?.isDirectory !== true) return found
  for (const name of await files.list(folder)) {
    if (name.startsWith('.') || name.startsWith('_')) continue
    const path = posix.join(folder, name)
    const stat = await files.stat(path)
    if (stat?.isDirectory === true) found.push(...(await below(path, files)))
    else if (stat !== undefined) found.push({ path, size: stat.size })
  }
  return found
}

/**
 * Names in memory: one tree of folders and files, with the operations on names. Owned by `MemoryFiles`.
 *
 * Errors are those of the operating system for the same call, with `code` and `path`. Relative paths start at the root: there is nothing else they
 * could be relative to.
 */
import { MemoryContent } from './content.ts'

type MemoryNode = MemoryContent | MemoryFolder

class MemoryFolder {
  readonly names = new Map<string, MemoryNode>()
}

export class MemoryTree {
  readonly #root = new MemoryFolder()

  /** undefined when nothing is there. */
  stat(path: string): { readonly size: number; readonly isDirectory: boolean } | undefined {
    const node = this.#find(path)
    if (node === undefined) return undefined
    return node instanceof MemoryContent ? { size: node.size, isDirectory: false } : { size: 0, isDirectory: true }
  }

  file(path: string): MemoryContent {
    const node = this.#find(path)
    if (node === undefined) throw memoryError('ENOENT', 'no such file', path)
    if (node instanceof MemoryFolder) throw memoryError('EISDIR', 'it is a folder', path)
    return node
  }

  create(path: string): MemoryContent {
    const { folder, name } = this.#place(path)
    if (folder.names.has(name)) throw memoryError('EEXIST', 'it exists', path)
    const content = new MemoryContent()
    folder.names.set(name, content)
    return content
  }

  list(path: string): string[] {
    return [...this.#folder(path).names.keys()].sort()
  }

  /** Throws ENOENT or ENOTDIR when there is no such folder. */
  assertFolder(path: string): void {
    this.#folder(path)
  }

  makeDirectory(path: string): void {
    let folder = this.#root
    for (const name of partsOf(path)) {
      let next = folder.names.get(name)
      if (next === undefined) {
        next = new MemoryFolder()
        folder.names.set(name, next)
      }
      if (next instanceof MemoryContent) throw memoryError('EEXIST', 'a part of the path is a file', path)
      folder = next
    }
  }

  rename(from: string, to: string): void {
    const source = this.#place(from)
    const target = this.#place(to)
    const node = source.folder.names.get(source.name)
    if (node === undefined) throw memoryError('ENOENT', 'no such file', from)
    const replaced = target.folder.names.get(target.name)
    if (replaced === node) return
    if (replaced instanceof MemoryFolder) {
      if (node instanceof MemoryContent) throw memoryError('EISDIR', 'it is a folder', to)
      if (replaced.names.size > 0) throw memoryError('ENOTEMPTY', 'the folder is not empty', to)
    } else if (replaced !== undefined && node instanceof MemoryFolder) throw memoryError('ENOTDIR', 'it is a file', to)
    if (node instanceof MemoryFolder && isInside(to, from)) throw memoryError('EINVAL', 'a folder cannot move into itself', to)
    source.folder.names.delete(source.name)
    target.folder.names.set(target.name, node)
  }

  link(from: string, to: string): void {
    const node = this.#find(from)
    if (node === undefined) throw memoryError('ENOENT', 'no such file', from)
    if (node instanceof MemoryFolder) throw memoryError('EPERM', 'a folder has one name', from)
    const { folder, name } = this.#place(to)
    if (folder.names.has(name)) throw memoryError('EEXIST', 'it exists', to)
    folder.names.set(name, node)
  }

  remove(path: string): void {
    const { folder, name } = this.#place(path)
    const node = folder.names.get(name)
    if (node === undefined) throw memoryError('ENOENT', 'no such file', path)
    if (node instanceof MemoryFolder) throw memoryError('EISDIR', 'it is a folder', path)
    folder.names.delete(name)
  }

  /** With all that is in it; missing is fine. The root stays, empty. */
  removeDirectory(path: string): void {
    const node = this.#find(path)
    if (node === undefined) return
    if (node === this.#root) this.#root.names.clear()
    else {
      const { folder, name } = this.#place(path)
      folder.names.delete(name)
    }
  }

  #find(path: string): MemoryNode | undefined {
    let node: MemoryNode | undefined = this.#root
    for (const name of partsOf(path)) {
      if (!(node instanceof MemoryFolder)) return undefined
      node = node.names.get(name)
    }
    return node
  }

  #folder(path: string): MemoryFolder {
    const node = this.#find(path)
    if (node === undefined) throw memoryError('ENOENT', 'no such folder', path)
    if (node instanceof MemoryContent) throw memoryError('ENOTDIR', 'it is a file', path)
    return node
  }

  /** The folder in which the path's last name lies, or would lie. */
  #place(path: string): { readonly folder: MemoryFolder; readonly name: string } {
    const parts = partsOf(path)
    const name = parts.pop()
    if (name === undefined) throw memoryError('EPERM', 'the root stays as it is', path)
    return { folder: this.#folder(parts.join('/')), name }
  }
}

/** An error in the form of the operating system's. */
export function memoryError(code: string, message: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${message}, '${path}'`), { code, path })
}

function partsOf(path: string): string[] {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return parts
}

function isInside(path: string, folder: string): boolean {
  const outer = partsOf(folder)
  const inner = partsOf(path)
  return inner.length > outer.length && outer.every((part, index) => part === inner[index])
}

/**
 * The name space of a simulated disk: one tree of folders and files, with the operations on names. Owned by `SimDisk`, which numbers
 * operations, injects faults and decides crashes; here is only what names mean.
 *
 * Errors are those of Linux for the same call, so that code which tells ENOENT from EEXIST behaves as on a real disk.
 */
import { FileState } from './file-state.ts'
import { type FolderChange, FolderState, type NodeState } from './folder-state.ts'
import { type DiskOperation, systemError } from './operation.ts'

/** How power loss treats names: all pending changes kept, none, or those decided per folder. */
export type KeepNames = (folder: FolderState, pending: readonly FolderChange[]) => readonly FolderChange[]

export class DiskTree {
  readonly #root = new FolderState('/')

  find(path: string): NodeState | undefined {
    let node: NodeState | undefined = this.#root
    for (const name of partsOf(path)) {
      if (!(node instanceof FolderState)) return undefined
      node = node.names.get(name)
    }
    return node
  }

  file(operation: DiskOperation): FileState {
    const node = this.find(operation.path)
    if (node === undefined) throw systemError('ENOENT', operation)
    if (node instanceof FolderState) throw systemError('EISDIR', operation)
    return node
  }

  folder(operation: DiskOperation): FolderState {
    const node = this.find(operation.path)
    if (node === undefined) throw systemError('ENOENT', operation)
    if (node instanceof FileState) throw systemError('ENOTDIR', operation)
    return node
  }

  create(mark: number, operation: DiskOperation): FileState {
    const { folder, name } = this.#parent(operation.path, operation)
    if (folder.names.has(name)) throw systemError('EEXIST', operation)
    const file = new FileState(operation.path)
    folder.change(mark, new Map([[name, file]]))
    return file
  }

  makeDirectory(mark: number, operation: DiskOperation): void {
    let folder = this.#root
    for (const name of partsOf(operation.path)) {
      let next = folder.names.get(name)
      if (next === undefined) {
        next = new FolderState(`${folder.label === '/' ? '' : folder.label}/${name}`)
        folder.change(mark, new Map([[name, next]]))
      }
      if (next instanceof FileState) throw systemError('EEXIST', operation)
      folder = next
    }
  }

  rename(mark: number, operation: DiskOperation, to: string): void {
    const source = this.#parent(operation.path, operation)
    const target = this.#parent(to, operation)
    const node = source.folder.names.get(source.name)
    if (node === undefined) throw systemError('ENOENT', operation)
    const replaced = target.folder.names.get(target.name)
    if (replaced === node) return
    if (replaced instanceof FolderState) {
      if (node instanceof FileState) throw systemError('EISDIR', operation)
      if (replaced.names.size > 0) throw systemError('ENOTEMPTY', operation)
    } else if (replaced !== undefined && node instanceof FolderState) throw systemError('ENOTDIR', operation)
    if (source.folder === target.folder) {
      const both = new Map<string, NodeState | undefined>([[source.name, undefined]])
      source.folder.change(mark, both.set(target.name, node))
    } else {
      const addition = target.folder.change(mark, new Map([[target.name, node]]))
      source.folder.change(mark, new Map([[source.name, undefined]]), addition)
    }
  }

  link(mark: number, operation: DiskOperation, to: string): void {
    const node = this.find(operation.path)
    if (node === undefined) throw systemError('ENOENT', operation)
    if (node instanceof FolderState) throw systemError('EPERM', operation)
    const { folder, name } = this.#parent(to, operation)
    if (folder.names.has(name)) throw systemError('EEXIST', operation)
    folder.change(mark, new Map([[name, node]]))
  }

  remove(mark: number, operation: DiskOperation): FileState {
    const { folder, name } = this.#parent(operation.path, operation)
    const node = folder.names.get(name)
    if (node === undefined) throw systemError('ENOENT', operation)
    if (node instanceof FolderState) throw systemError('EISDIR', operation)
    folder.change(mark, new Map([[name, undefined]]))
    return node
  }

  /** Each name inside is a pending change of its own folder, so that a crash can leave any part. Missing is fine. */
  removeDirectory(mark: number, operation: DiskOperation): FileState[] {
    const node = this.find(operation.path)
    if (node === undefined) return []
    const removed: FileState[] = []
    const empty = (folder: FolderState): void => {
      for (const [name, child] of [...folder.names]) {
        if (child instanceof FolderState) empty(child)
        else removed.push(child)
        folder.change(mark, new Map([[name, undefined]]))
      }
    }
    if (node instanceof FolderState) empty(node)
    else removed.push(node)
    const { folder, name } = this.#parent(operation.path, operation)
    folder.change(mark, new Map([[name, undefined]]))
    return removed
  }

  /** Settles names by `keep`, then calls `settleFile` once for each file that still has a name. */
  losePower(keep: KeepNames, settleFile: (file: FileState) => void): void {
    const decided = new Map<FolderState, Set<FolderChange>>()
    const decide = (folder: FolderState): Set<FolderChange> => {
      let kept = decided.get(folder)
      if (kept === undefined) {
        kept = new Set(keep(folder, folder.pending))
        decided.set(folder, kept)
        for (const change of [...kept]) {
          if (change.requires !== undefined && folder.pending.includes(change) && isPendingIn(change.requires)) {
            if (!decide(change.requires.folder).has(change.requires)) kept.delete(change)
          }
        }
      }
      return kept
    }
    const seen = new Set<NodeState>()
    const settle = (folder: FolderState): void => {
      seen.add(folder)
      folder.losePower(decide(folder))
      for (const node of folder.names.values()) {
        if (node instanceof FolderState) {
          if (!seen.has(node)) settle(node)
          continue
        }
        if (!seen.has(node)) {
          seen.add(node)
          node.links = 0
          node.opens = 0
          settleFile(node)
        }
        node.links++
      }
    }
    // All folders decide before any settles, since settling empties the list of pending changes.
    const decideBelow = (folder: FolderState, visited: Set<FolderState>): void => {
      if (visited.has(folder)) return
      visited.add(folder)
      decide(folder)
      for (const node of folder.reachable()) if (node instanceof FolderState) decideBelow(node, visited)
    }
    decideBelow(this.#root, new Set())
    settle(this.#root)
  }

  /** A copy of everything; `mapFile` is told which file became which. */
  copy(mapFile: (from: FileState, to: FileState) => void): DiskTree {
    const copy = new DiskTree()
    const nodes = new Map<NodeState, NodeState>([[this.#root, copy.#root]])
    const changes = new Map<FolderChange, FolderChange>()
    const copyNode = (node: NodeState): NodeState => {
      const known = nodes.get(node)
      if (known !== undefined) return known
      if (node instanceof FileState) {
        const file = node.copy()
        file.links = node.links
        nodes.set(node, file)
        mapFile(node, file)
        return file
      }
      const folder = new FolderState(node.label)
      nodes.set(node, folder)
      node.copyInto(folder, copyNode, copyChange)
      return folder
    }
    const copyChange = (change: FolderChange): FolderChange => {
      const known = changes.get(change)
      if (known !== undefined) return known
      const made: FolderChange = {
        mark: change.mark,
        folder: copyNode(change.folder) as FolderState,
        names: new Map([...change.names].map(([name, node]) => [name, node === undefined ? undefined : copyNode(node)])),
        requires: change.requires === undefined ? undefined : copyChange(change.requires),
      }
      const again = changes.get(change)
      if (again !== undefined) return again
      changes.set(change, made)
      return made
    }
    this.#root.copyInto(copy.#root, copyNode, copyChange)
    return copy
  }

  #parent(path: string, operation: DiskOperation): { folder: FolderState; name: string } {
    const parts = partsOf(path)
    const name = parts.pop()
    if (name === undefined) throw systemError('EPERM', operation)
    const node = this.find(parts.join('/'))
    if (node === undefined) throw systemError('ENOENT', operation)
    if (node instanceof FileState) throw systemError('ENOTDIR', operation)
    return { folder: node, name }
  }
}

function isPendingIn(change: FolderChange): boolean {
  return change.folder.pending.includes(change)
}

/** The names of a path from the root; relative paths start there too. */
function partsOf(path: string): string[] {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return parts
}

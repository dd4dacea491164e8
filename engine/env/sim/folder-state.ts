/**
 * One simulated folder: its names as programs see them, the names that power loss leaves, and the changes in between.
 *
 * Model: each create, link, rename and remove is one pending change of its folder until the folder is synced. A sync makes durable what
 * was done up to its mark. Power loss keeps for each folder a prefix of its pending changes, or (harsher than journaled file systems) an
 * arbitrary subset of them. A rename inside a folder is atomic. A rename between folders is an addition there and a removal here; the
 * removal is never kept without the addition, so that a file is not lost by moving it.
 *
 * A file's sync does not make its name durable; ext4 does that for new files, POSIX does not ask for it, and we model the weaker rule.
 */
import { assert } from '../../errors.ts'
import { FileState } from './file-state.ts'

export type NodeState = FileState | FolderState

/** One change of a folder's names: applied wholly or not at all. */
export interface FolderChange {
  readonly mark: number
  readonly folder: FolderState
  /** undefined removes the name. */
  readonly names: ReadonlyMap<string, NodeState | undefined>
  /** What has to be durable before this may be: the addition to the other folder of a rename. */
  readonly requires: FolderChange | undefined
}

export class FolderState {
  readonly label: string
  readonly names: Map<string, NodeState> = new Map()
  readonly #durable = new Map<string, NodeState>()
  #pending: FolderChange[] = []

  constructor(label: string) {
    this.label = label
  }

  get pending(): readonly FolderChange[] {
    return this.#pending
  }

  /** Every node that has a name here now, on the disk, or in a pending change. */
  reachable(): Set<NodeState> {
    const nodes = new Set<NodeState>([...this.names.values(), ...this.#durable.values()])
    for (const { names } of this.#pending) for (const node of names.values()) if (node !== undefined) nodes.add(node)
    return nodes
  }

  change(mark: number, names: ReadonlyMap<string, NodeState | undefined>, requires?: FolderChange): FolderChange {
    const change: FolderChange = { mark, folder: this, names, requires }
    for (const [name, node] of names) {
      const before = this.names.get(name)
      if (before instanceof FileState) before.links--
      if (node instanceof FileState) node.links++
      if (node === undefined) this.names.delete(name)
      else this.names.set(name, node)
    }
    this.#pending.push(change)
    return change
  }

  /** Makes durable what is not newer than `mark`, with what that requires elsewhere. */
  sync(mark: number): void {
    const later = this.#pending.findIndex(change => change.mark > mark)
    for (const change of this.#pending.splice(0, later === -1 ? this.#pending.length : later)) {
      if (change.requires !== undefined) change.requires.folder.sync(change.requires.mark)
      this.#apply(change)
    }
  }

  /** Keeps what is durable and the pending changes in `kept`; then names are what the disk holds. */
  losePower(kept: ReadonlySet<FolderChange>): void {
    for (const change of this.#pending) if (kept.has(change)) this.#apply(change)
    this.#pending = []
    this.names.clear()
    for (const [name, node] of this.#durable) this.names.set(name, node)
  }

  /** A copy whose nodes are mapped by `copyNode`; changes are copied by `copyChange`, which keeps what requires what. */
  copyInto(copy: FolderState, copyNode: (node: NodeState) => NodeState, copyChange: (change: FolderChange) => FolderChange): void {
    assert(copy.names.size === 0, 'a folder is copied into a new one')
    for (const [name, node] of this.names) copy.names.set(name, copyNode(node))
    for (const [name, node] of this.#durable) copy.#durable.set(name, copyNode(node))
    copy.#pending = this.#pending.map(copyChange)
  }

  #apply({ names }: FolderChange): void {
    for (const [name, node] of names) {
      if (node === undefined) this.#durable.delete(name)
      else this.#durable.set(name, node)
    }
  }
}

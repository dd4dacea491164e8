/**
 * Which fields of a row are wanted, as a tree of names in UTF-8, so that a reader of encoded rows finds them by comparing bytes. Made once for a scan; the readers
 * (`msgpack-fields.ts`, `json-fields.ts`) fill one builder a leaf.
 */

export interface FieldNode {
  /** The name in UTF-8; of an array's element its number in digits. */
  readonly name: Uint8Array
  /** Number of the builder that takes this field; -1: only what lies in it is wanted. */
  leaf: number
  readonly children: FieldNode[]
  /** By number of a structure, the children at the positions of its keys; filled by `MsgpackFields` as it meets them. */
  readonly places: (readonly (FieldNode | undefined)[])[]
}

/** `paths[i]` is leaf i. The path '' is no field and has no place here. */
export function fieldTree(paths: readonly string[]): FieldNode {
  const root: FieldNode = { name: new Uint8Array(0), leaf: -1, children: [], places: [] }
  const utf8 = new TextEncoder()
  for (const [leaf, path] of paths.entries()) {
    let node = root
    for (const text of path.split('.')) {
      const name = utf8.encode(text)
      let child = node.children.find(one => Buffer.compare(one.name, name) === 0)
      if (child === undefined) {
        child = { name, leaf: -1, children: [], places: [] }
        node.children.push(child)
      }
      node = child
    }
    node.leaf = leaf
  }
  return root
}

/** The child whose name is `bytes[start, start + size)`. */
export function childNamed(node: FieldNode, bytes: Uint8Array, start: number, size: number): FieldNode | undefined {
  const { children } = node
  for (let c = 0; c < children.length; c++) {
    const child = children[c] as FieldNode
    const { name } = child
    if (name.length !== size) continue
    let i = 0
    while (i < size && name[i] === bytes[start + i]) i++
    if (i === size) return child
  }
  return undefined
}

/** The child that is the array's element of this number. */
export function childNumbered(node: FieldNode, index: number): FieldNode | undefined {
  const text = String(index)
  return node.children.find(({ name }) => name.length === text.length && Buffer.from(name).toString('latin1') === text)
}

/** How much disk a folder takes: blocks that files have, not what they say their length is. */

import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface DiskUse {
  /** Everything but write-ahead logs. */
  readonly dataBytes: number
  readonly logBytes: number
}

/** Files that disappear meanwhile count as nothing. */
export function diskUse(folder: string, isLog: (fileName: string) => boolean): DiskUse {
  let dataBytes = 0
  let logBytes = 0
  const visit = (path: string): void => {
    for (const entry of entriesOf(path)) {
      const child = join(path, entry.name)
      if (entry.isDirectory()) visit(child)
      else if (isLog(entry.name)) logBytes += allocated(child)
      else dataBytes += allocated(child)
    }
  }
  visit(folder)
  return { dataBytes, logBytes }
}

function entriesOf(path: string): { readonly name: string; isDirectory(): boolean }[] {
  try {
    return readdirSync(path, { withFileTypes: true })
  } catch {
    return []
  }
}

function allocated(path: string): number {
  try {
    const { blocks, size } = lstatSync(path)
    return process.platform === 'win32' ? size : blocks * 512 // Windows counts no blocks
  } catch {
    return 0
  }
}

/** Temporary folders of a test file, removed after it, and copies of a database's folder as a killed process leaves it. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

const root = mkdtempSync(join(tmpdir(), 'varve-format-'))
let count = 0

afterAll(() => rmSync(root, { recursive: true, force: true }))

export function newFolder(): string {
  return join(root, String(++count))
}

/** Without the lock, which names a process that lives, and without what has a temporary name and may get another any moment. */
export function copyOf(folder: string): string {
  const copy = newFolder()
  cpSync(folder, copy, { recursive: true, filter: path => !path.endsWith('/lock') && !path.endsWith('.tmp') })
  return copy
}

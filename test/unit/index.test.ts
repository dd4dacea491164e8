/** Goal: the facade states the package's own version and its command prints it; names and doors of the package agree with package.json. */

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { version } from '../../index.ts'

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  version: string
  bin: { varve: string }
  exports: Record<string, string | { types: string; default: string }>
}

test('version equals the one in package.json', () => {
  expect(version).toBe(manifest.version)
})

test('every door of the package was built, with types', () => {
  const doors = Object.values(manifest.exports).flatMap(target => (typeof target === 'string' ? [target] : [target.types, target.default]))
  expect(doors.length).toBeGreaterThan(2)
  for (const path of doors) expect(readFileSync(path, 'utf8')).not.toBe('')
})

test('the command prints the version, and refuses what it does not know', () => {
  expect(execFileSync(process.execPath, [manifest.bin.varve, '--version'], { encoding: 'utf8' })).toBe(`${manifest.version}\n`)
  expect(execFileSync(process.execPath, [manifest.bin.varve, '--help'], { encoding: 'utf8' })).toContain('Usage: varve')
  const refused = spawnSync(process.execPath, [manifest.bin.varve, '--no-such-option'], { encoding: 'utf8' })
  expect(refused.status).toBe(2)
  expect(refused.stdout).toBe('')
  expect(refused.stderr).toContain('--no-such-option')
})

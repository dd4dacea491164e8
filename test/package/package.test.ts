/**
 * Goal: what `npm publish` would upload works for its users: as an ES module, through `require`, with types, and through no other door than
 * those of the exports map. The tarball is installed into three empty projects.
 */

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string; exports: Record<string, unknown> }

/** `varve`, `varve/engine`, …: every door with code behind it. */
const doors = Object.keys(manifest.exports)
  .filter(key => key !== './package.json')
  .map(key => `varve${key.slice(1)}`)

const closedDoors = ['varve/lib/index.js', 'varve/dist/index.js', 'varve/engine/errors.js', 'varve/engine/index.js']

let root: string
let tarball: string

function npm(cwd: string, ...args: string[]): string {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', shell: process.platform === 'win32', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** An empty project with the tarball installed. */
function project(name: string, type: 'module' | 'commonjs'): string {
  const folder = join(root, name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.0.0', private: true, type }))
  npm(folder, 'install', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', tarball)
  return folder
}

/** What a program prints, without Node's notice that `require` of an ES module was experimental in version 20. */
function node(cwd: string, file: string, text: string): string {
  writeFileSync(join(cwd, file), text)
  return execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', file], { cwd, encoding: 'utf8' })
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'varve-package-'))
  npm('.', 'pack', '--ignore-scripts', '--pack-destination', root)
  tarball = join(root, readdirSync(root).find(name => name.endsWith('.tgz')) ?? '')
})

afterAll(() => {
  rmSync(root, { recursive: true, force: true })
})

test('the tarball holds the product and its papers, and nothing else', () => {
  const [{ files }] = JSON.parse(npm('.', 'pack', '--ignore-scripts', '--dry-run', '--json')) as [{ files: { path: string }[] }]
  const paths = files.map(file => file.path)
  for (const path of [
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'package.json',
    'bench/RESULTS.md',
    'lib/index.js',
    'lib/cli/main.js',
    'lib/engine/worker.js',
    'lib/compute/execute/worker.js',
    'dist/index.d.ts',
  ])
    expect(paths).toContain(path)
  expect(
    paths.filter(
      path =>
        /^dist\/(bench|examples|test)\/|^dist\/.*\.js$/.test(path) ||
        !/^(lib\/|dist\/|docs\/|bench\/[A-Z]+\.md$|[A-Za-z]+(\.md|\.json)?$)/.test(path),
    ),
  ).toEqual([])
})

describe('an ES module', () => {
  let folder: string
  beforeAll(() => {
    folder = project('esm', 'module')
  })

  test('imports every door', () => {
    const output = node(
      folder,
      'doors.js',
      doors.map((door, index) => `import * as door${index} from '${door}'\nif (!door${index}) throw 0`).join('\n'),
    )
    expect(output).toBe('')
  })

  test('shares one class between the doors', () => {
    const text = `
      import { VarveError, errorCodes, isVarveError, version } from 'varve'
      import { VarveError as same } from 'varve/engine'
      const error = new VarveError('CLOSED', 'closed')
      console.log(JSON.stringify([version, VarveError === same, isVarveError(error, 'CLOSED'), 'CLOSED' in errorCodes]))`
    expect(JSON.parse(node(folder, 'main.js', text))).toEqual([manifest.version, true, true, true])
  })

  test.each(closedDoors)('cannot reach %s', path => {
    const output = node(folder, 'closed.js', `import('${path}').then(() => console.log('reached'), error => console.log(error.code))`)
    expect(output.trim()).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED')
  })

  test('has the command', () => {
    expect(npm(folder, 'exec', '--offline', '--', 'varve', '--version').trim()).toBe(manifest.version)
  })
})

describe('CommonJS', () => {
  let folder: string
  beforeAll(() => {
    folder = project('cjs', 'commonjs')
  })

  test('requires every door', () => {
    const output = node(folder, 'doors.js', `for (const door of ${JSON.stringify(doors)}) console.log(typeof require(door))`)
    expect(output.trim().split('\n')).toEqual(doors.map(() => 'object'))
  })

  test('shares one class with an import', () => {
    const text = `
      const { VarveError, version } = require('varve')
      import('varve').then(module => console.log(JSON.stringify([version, module.VarveError === VarveError])))`
    expect(JSON.parse(node(folder, 'main.js', text))).toEqual([manifest.version, true])
  })

  test.each(closedDoors)('cannot reach %s', path => {
    const output = node(folder, 'closed.js', `try { require('${path}'); console.log('reached') } catch (error) { console.log(error.code) }`)
    expect(output.trim()).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED')
  })
})

describe('TypeScript with nodenext', () => {
  const compiler = resolve('node_modules/typescript/bin/tsc')
  let folder: string

  /** What the compiler prints about one program; empty when it accepts it. */
  function compile(file: string, text: string, more: string[] = []): string {
    writeFileSync(join(folder, file), text)
    // AbortSignal is a type of the platform: from the DOM library here, from @types/node elsewhere.
    const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2023,esnext.disposable,dom', '--types', '']
    try {
      return execFileSync(process.execPath, [compiler, '--noEmit', ...options, ...more, file], { cwd: folder, encoding: 'utf8' })
    } catch (error) {
      return (error as { stdout: string }).stdout
    }
  }

  beforeAll(() => {
    folder = project('types', 'module')
  })

  const imports = (paths: string[]): string =>
    paths.map((path, index) => `import * as door${index} from '${path}'\nvoid door${index}`).join('\n')

  test('finds the types of every door', () => {
    expect(compile('doors.ts', imports(doors.filter(door => door !== 'varve/level')))).toBe('')
  })

  test('finds those of varve/level, which stand on the types of Node as those of abstract-level do', () => {
    const text = `
      import type { AbstractLevel } from 'abstract-level'
      import { VarveLevel } from 'varve/level'
      const db = new VarveLevel<string, { a: number }>('x', { valueEncoding: 'json', durability: 'buffered' })
      export const any: AbstractLevel<any, any, any> = db
      export const one: Promise<void> = db.put('a', { a: 1 }, { sync: false })
      export const two: Promise<void> = db.put('a', Buffer.from('x'), { valueEncoding: 'buffer', sync: true })
      export const sub: Promise<void> = db.batch([{ type: 'put', key: 'a', value: 2, sublevel: db.sublevel<string, number>('s', { valueEncoding: 'json' }) }], { sync: true })
      // @ts-expect-error not a boolean
      void db.put('a', { a: 1 }, { sync: 'yes' })
      // @ts-expect-error not a value
      void db.put('a', 'b')`
    expect(compile('level.ts', text, ['--typeRoots', resolve('node_modules/@types'), '--types', 'node'])).toBe('')
  })

  test('finds them from a CommonJS file', () => {
    expect(compile('main.cts', "import { version } from 'varve'\nexport const text: string = version\n")).toBe('')
  })

  test('sees what they say', () => {
    const text = `
      import { type ErrorCode, VarveError, isVarveError, version } from 'varve'
      const code: ErrorCode = new VarveError('CLOSED', version).code
      const unknown: unknown = code
      if (isVarveError(unknown)) void unknown.details.position?.toFixed()
      // @ts-expect-error not a code
      void new VarveError('NO_SUCH_CODE', '')`
    expect(compile('main.ts', text)).toBe('')
  })

  test.each(closedDoors)('cannot reach %s', path => {
    expect(compile('closed.ts', `import * as closed from '${path}'\nvoid closed\n`)).toContain('TS2307')
  })
})

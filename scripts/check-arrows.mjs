/**
 * Who may import whom. Fails on an import that is not in the tables below.
 *
 * 1. Between top-level folders only along `mayImport`, and only through the other folder's `index.ts` (test/ and bench/ may reach inside).
 * 2. Inside engine/ never from a lower layer to a higher one; `import type` from `freeTypes` is open to all, since the interfaces live there.
 */

import { posix } from 'node:path'
import { lineAt, parse, report, sourcesIn } from './sources.mjs'

const product = ['engine', 'level', 'stream', 'compute', 'cluster', 'server', 'cli', 'index.ts']

/** @type {Record<string, readonly string[]>} */
const mayImport = {
  engine: [],
  level: ['engine'],
  stream: ['engine'],
  compute: ['engine', 'stream'],
  cluster: ['engine'],
  server: product,
  cli: product,
  'index.ts': product,
  examples: product,
  bench: [...product, 'examples', 'test'],
  test: [...product, 'examples', 'bench'],
}

const reachInside = ['test', 'bench']

/** Folders and files of engine/, lowest first. Those in one row may import each other. */
const engineLayers = [
  ['errors.ts'],
  ['env'],
  ['options.ts'],
  ['codec'],
  ['batch'],
  ['field'],
  ['commit-log', 'segment', 'diagnostics.ts'],
  ['log'],
  ['catalog'],
  ['maintenance'],
  ['store'],
  ['lease'],
  ['stats.ts'],
  ['opening.ts'],
  ['backup'],
  ['database-parts.ts'],
  ['database.ts'],
  ['tools'],
  ['index.ts', 'worker.ts'],
]

const freeTypes = ['log']

/** @param {string} name */
const layerOf = name => engineLayers.findIndex(layer => layer.includes(name))

/**
 * The first component of a path, and the second one.
 * @param {string} path
 */
function place(path) {
  const [top = '', inner = ''] = path.split('/')
  return { top, inner }
}

/**
 * Where a specifier leads inside the project; undefined for packages and Node's modules.
 * @param {string} from
 * @param {string} specifier
 */
function resolve(from, specifier) {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(from), specifier)
  if (specifier === 'varve') return 'index.ts'
  if (specifier.startsWith('varve/')) return `${specifier.slice('varve/'.length)}/index.ts`
  return undefined
}

/**
 * @param {string} from
 * @param {string} to
 * @param {boolean} typeOnly
 * @returns {string | undefined} what is wrong
 */
function judge(from, to, typeOnly) {
  const source = place(from)
  const target = place(to)
  if (source.top !== target.top) {
    if (target.top === 'package.json') return undefined
    if (!mayImport[source.top]?.includes(target.top)) return `${source.top} may not import ${target.top}`
    if (to.includes('/') && to !== `${target.top}/index.ts` && !reachInside.includes(source.top))
      return `${target.top} is imported only through ${target.top}/index.ts`
    return undefined
  }
  if (source.top !== 'engine' || source.inner === target.inner) return undefined
  const lower = layerOf(source.inner)
  const higher = layerOf(target.inner)
  if (lower < 0) return `engine/${source.inner} has no layer; give it one in scripts/check-arrows.mjs`
  if (higher < 0) return `engine/${target.inner} has no layer; give it one in scripts/check-arrows.mjs`
  if (higher > lower && !(typeOnly && freeTypes.includes(target.inner))) return `engine/${source.inner} lies below engine/${target.inner}`
  return undefined
}

/**
 * @param {string} path
 * @returns {{ specifier: string, start: number, typeOnly: boolean }[]}
 */
function importsOf(path, { module, text } = parse(path)) {
  const found = module.staticImports.map(({ moduleRequest, entries }) => ({
    specifier: moduleRequest.value,
    start: moduleRequest.start,
    typeOnly: entries.length > 0 && entries.every(entry => entry.isType),
  }))
  for (const { entries } of module.staticExports)
    for (const { moduleRequest, isType } of entries)
      if (moduleRequest) found.push({ specifier: moduleRequest.value, start: moduleRequest.start, typeOnly: isType })
  for (const { moduleRequest } of module.dynamicImports) {
    const literal = /^(['"`])([^'"`$]*)\1$/.exec(text.slice(moduleRequest.start, moduleRequest.end))
    if (literal) found.push({ specifier: literal[2] ?? '', start: moduleRequest.start, typeOnly: false })
  }
  return found
}

const files = Object.keys(mayImport).flatMap(name => (name.endsWith('.ts') ? [name] : sourcesIn(name)))
const problems = new Set()
let count = 0
for (const path of files) {
  const parsed = parse(path)
  for (const { specifier, start, typeOnly } of importsOf(path, parsed)) {
    const to = resolve(path, specifier)
    if (to === undefined) continue
    count++
    const problem = judge(path, to, typeOnly)
    if (problem !== undefined) problems.add(`${path}:${lineAt(parsed.text, start)}: '${specifier}': ${problem}`)
  }
}
report('arrows', [...problems], `${count} imports in ${files.length} files`)

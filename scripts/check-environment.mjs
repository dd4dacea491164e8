/**
 * Time, randomness and timers come from the environment (engine/env/), so that a whole database can run from one seed. Biome bans the plain
 * globals and the modules (see biome.json); this check bans what is a member or a call: `Date.now`, `new Date()`, `Math.random`,
 * `globalThis.setTimeout`, … `new Date(milliseconds)` and `instanceof Date` depend on nothing and are allowed.
 */

import { lineAt, parse, report, sourcesIn } from './sources.mjs'

const folders = ['engine', 'stream', 'compute', 'cluster']
const exempt = 'engine/env/'

/** @type {Record<string, readonly string[]>} object -> members; '*' is all of them */
const bannedMembers = {
  Date: ['now'],
  Math: ['random'],
  crypto: ['*'],
  performance: ['*'],
  process: ['hrtime', 'uptime', 'cwd', 'getBuiltinModule'],
  globalThis: ['performance', 'setTimeout', 'setInterval', 'setImmediate', 'crypto', 'Date', 'Math'],
}
bannedMembers.global = bannedMembers.globalThis

/**
 * @param {any} node
 * @returns {string | undefined} what is banned, as written
 */
function banned(node) {
  if (node.type === 'MemberExpression' && node.object.type === 'Identifier') {
    const name = node.computed ? node.property.value : node.property.name
    const members = bannedMembers[node.object.name]
    if (Object.hasOwn(bannedMembers, node.object.name) && (members?.includes('*') || members?.includes(name)))
      return `${node.object.name}.${name}`
  }
  if (node.type === 'VariableDeclarator' && node.id.type === 'ObjectPattern' && node.init?.type === 'Identifier') {
    if (Object.hasOwn(bannedMembers, node.init.name)) return `members of ${node.init.name}`
  }
  if (node.type === 'NewExpression' && node.callee.name === 'Date' && node.arguments.length === 0) return 'new Date()'
  if (node.type === 'CallExpression' && node.callee.type === 'Identifier' && node.callee.name === 'Date') return 'Date()'
  return undefined
}

/**
 * @param {any} node
 * @param {(node: any) => void} visit
 */
function walk(node, visit) {
  if (Array.isArray(node)) {
    for (const item of node) walk(item, visit)
  } else if (node !== null && typeof node === 'object') {
    if (typeof node.type === 'string') visit(node)
    for (const key of Object.keys(node)) walk(node[key], visit)
  }
}

const files = folders.flatMap(sourcesIn).filter(path => !path.startsWith(exempt))
/** @type {string[]} */
const problems = []
for (const path of files) {
  const { program, text } = parse(path)
  walk(program, node => {
    const what = banned(node)
    if (what !== undefined) problems.push(`${path}:${lineAt(text, node.start)}: ${what}: take it from the environment`)
  })
}
report('environment', problems, `${files.length} files`)

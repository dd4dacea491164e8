/**
 * Which catch blocks of the engine a program reaches: `node scripts/catch-blocks.mjs <compiled folder> <script> [arguments]` runs the script with
 * V8's block coverage and lists every `catch` clause and `.catch(…)` callback under `<compiled folder>/engine` that did not run.
 *
 *   node scripts/catch-blocks.mjs reports/soak reports/soak/test/fault/soak.js
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync, Visitor } from 'oxc-parser'
import { lineAt } from './sources.mjs'

const [compiled = 'reports/soak', script, ...rest] = process.argv.slice(2)
if (script === undefined) throw new TypeError('usage: catch-blocks.mjs <compiled folder> <script> [arguments]')
const folder = mkdtempSync(join(tmpdir(), 'varve-coverage-'))
const { status } = spawnSync(process.execPath, [script, ...rest], {
  stdio: 'inherit',
  env: { ...process.env, NODE_V8_COVERAGE: folder },
})

/** Ranges of each file: the innermost one that holds a position says how often it ran. */
const ranges = new Map()
for (const name of readdirSync(folder)) {
  for (const { url, functions } of JSON.parse(readFileSync(join(folder, name), 'utf8')).result) {
    if (!url.startsWith('file:')) continue
    const path = fileURLToPath(url)
    if (!path.startsWith(join(resolve(compiled), 'engine'))) continue
    ranges.set(path, [...(ranges.get(path) ?? []), ...functions.flatMap((/** @type {{ ranges: object[] }} */ each) => each.ranges)])
  }
}
rmSync(folder, { recursive: true, force: true })

/**
 * @param {string} path
 * @param {number} position
 */
function countAt(path, position) {
  let best = { size: Number.POSITIVE_INFINITY, count: 0 }
  for (const { startOffset, endOffset, count } of ranges.get(path) ?? []) {
    if (position < startOffset || position >= endOffset) continue
    if (endOffset - startOffset <= best.size) best = { size: endOffset - startOffset, count }
  }
  return best.count
}

let total = 0
const missed = []
for (const path of [...ranges.keys()].sort()) {
  const text = readFileSync(path, 'utf8')
  /** @param {number} position */
  const look = position => {
    total++
    if (countAt(path, position) === 0) missed.push(`${relative(process.cwd(), path)}:${lineAt(text, position)}`)
  }
  const visitor = new Visitor({
    CatchClause: node => look(node.body.start + 1),
    CallExpression: node => {
      const [callback] = node.arguments
      const isCatch =
        node.callee.type === 'MemberExpression' && node.callee.property.type === 'Identifier' && node.callee.property.name === 'catch'
      if (isCatch && callback?.type === 'ArrowFunctionExpression') look(callback.body.start)
    },
  })
  visitor.visit(parseSync(path, text).program)
}
for (const place of missed) console.log(`not reached: ${place}`)
console.log(`${total - missed.length} of ${total} catch blocks reached`)
process.exitCode = status ?? 1

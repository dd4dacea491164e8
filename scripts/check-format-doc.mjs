/**
 * The constants of docs/FORMAT.md against the code. In a section whose heading contains "Constants", a table row whose first cell is a
 * `NAME` in backticks states that the constant of that name, exported by a `format.ts` or `constants.ts` in engine/, has the value of its
 * second cell. Numbers may be written in any base and as arithmetic; strings in quotes.
 */

import { existsSync, readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { report, sourcesIn } from './sources.mjs'

const document = 'docs/FORMAT.md'

/**
 * @param {string} expression
 * @param {Record<string, unknown>} names
 * @returns {string | number | bigint | undefined} undefined when it is not a plain value
 */
function evaluate(expression, names) {
  const words = expression.replace(/'[^']*'|"[^"]*"/g, '').match(/(?<![\w$])[A-Za-z_$][\w$]*/g) ?? []
  if (!words.every(word => Object.hasOwn(names, word))) return undefined
  try {
    const value = runInNewContext(expression, { ...names })
    return ['number', 'string', 'bigint'].includes(typeof value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Name -> file and value; a name that two files give different values is ambiguous. */
function constantsOfCode() {
  /** @type {Map<string, { file: string, value: unknown }[]>} */
  const found = new Map()
  for (const file of sourcesIn('engine').filter(path => /\/(format|constants)\.ts$/.test(path))) {
    /** @type {Record<string, unknown>} */
    const names = Object.fromEntries([...found].map(([name, places]) => [name, places[0]?.value]))
    for (const [, name = '', expression = ''] of readFileSync(file, 'utf8').matchAll(
      /^(?:export )?const (\w+)(?:\s*:\s*[\w ]+)?\s*=\s*([^\n]+?)(?:\s+as const)?;?\s*(?:\/[/*].*)?$/gm,
    )) {
      const value = evaluate(expression, names)
      if (value === undefined) continue
      names[name] = value
      found.set(name, [...(found.get(name) ?? []), { file, value }])
    }
  }
  return found
}

/** @returns {{ line: number, name: string, written: string }[]} */
function rowsOfDocument() {
  const rows = []
  let level = 0 // of the "Constants" heading that we are under; 0 = under none
  for (const [index, text] of readFileSync(document, 'utf8').split('\n').entries()) {
    const heading = /^(#+) (.*)/.exec(text)
    if (heading) {
      const depth = heading[1]?.length ?? 0
      if (heading[2]?.includes('Constants')) level = level === 0 ? depth : Math.min(level, depth)
      else if (depth <= level) level = 0
    }
    if (level === 0) continue
    const cells = text.split(/(?<!\\)\|/).map(cell => cell.trim().replaceAll('\\|', '|'))
    const name = /^`(\w+)`$/.exec(cells[1] ?? '')?.[1]
    if (name === undefined) continue
    const second = cells[2] ?? ''
    rows.push({ line: index + 1, name, written: /`([^`]+)`/.exec(second)?.[1] ?? second })
  }
  return rows
}

if (!existsSync(document)) report('format', [], `no ${document}`)
else {
  const constants = constantsOfCode()
  const rows = rowsOfDocument()
  /** @type {string[]} */
  const problems = []
  for (const { line, name, written } of rows) {
    const places = constants.get(name) ?? []
    const documented = evaluate(written, {})
    const at = `${document}:${line}: ${name}`
    if (documented === undefined) problems.push(`${at}: '${written}' is not a value`)
    else if (places.length === 0) problems.push(`${at}: no format.ts or constants.ts in engine/ has it as a plain value`)
    for (const { file, value } of places)
      if (documented !== undefined && value !== documented) problems.push(`${at} is ${documented} here and ${value} in ${file}`)
  }
  report('format', problems, `${rows.length} constants of ${document}`)
}

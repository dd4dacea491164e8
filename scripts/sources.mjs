/** Which sources the checks read, and their syntax trees. Paths are relative to the current folder and use `/`. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { parseSync } from 'oxc-parser'

/**
 * TypeScript files below a folder, sorted; none when it is missing.
 * @param {string} folder
 * @returns {string[]}
 */
export function sourcesIn(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .flatMap(entry => {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : sourcesIn(path)
      return path.endsWith('.ts') && !path.endsWith('.d.ts') ? [path] : []
    })
    .sort()
}

/**
 * @param {string} path
 * @returns {{ text: string, program: import('oxc-parser').Program, module: import('oxc-parser').EcmaScriptModule }}
 */
export function parse(path) {
  const text = readFileSync(path, 'utf8')
  const { program, module, errors } = parseSync(path, text)
  if (errors.length > 0) throw new SyntaxError(`${path}: ${errors[0]?.message}`)
  return { text, program, module }
}

/**
 * @param {string} text
 * @param {number} position
 */
export function lineAt(text, position) {
  return text.slice(0, position).split('\n').length
}

/**
 * Prints the findings and sets the exit code.
 * @param {string} check
 * @param {string[]} problems
 * @param {string} summary what was looked at, for the line of success
 */
export function report(check, problems, summary) {
  if (problems.length === 0) {
    console.log(`${check}: ${summary}`)
    return
  }
  for (const problem of problems) console.error(problem)
  console.error(`${check}: ${problems.length} problem${problems.length === 1 ? '' : 's'}`)
  process.exitCode = 1
}

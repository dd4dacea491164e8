/**
 * Goal: every symbol that the package's doors export has a doc comment, and so has every method of an exported class or interface, and every field of an
 * exported interface (options, answers), where nested objects are their field's. Read from the sources: comments are not part of what is compiled.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const doors = ['index.ts', 'engine/index.ts', 'stream/index.ts', 'compute/index.ts', 'level/index.ts']
/** What TypeScript's own protocols name explains itself. */
const ofProtocols = new Set(['constructor', 'next', 'return', 'then'])

interface Declaration {
  readonly file: string
  readonly lines: readonly string[]
  readonly line: number
  readonly kind: string
}

const sources = new Map<string, string>()
function sourceOf(file: string): string {
  let source = sources.get(file)
  if (source === undefined) sources.set(file, (source = readFileSync(file, 'utf8')))
  return source
}

/** Names that a file exports, with the file and the name that each has there. */
function exportsOf(file: string): Map<string, { readonly file: string; readonly name: string }> {
  const found = new Map<string, { readonly file: string; readonly name: string }>()
  const source = sourceOf(file)
  for (const [, names = '', from = ''] of source.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)'/gm)) {
    for (const part of names.split(',')) {
      const [name = '', alias = name] = part
        .replace(/^\s*type\s/, '')
        .trim()
        .split(/\s+as\s+/)
      if (name !== '') found.set(alias, { file: join(dirname(file), from), name })
    }
  }
  for (const [, from = ''] of source.matchAll(/^export (?:type )?\* from '([^']+)'/gm)) {
    for (const [name, origin] of exportsOf(join(dirname(file), from))) found.set(name, origin)
  }
  // Names that are passed on with what stands in the same file.
  for (const [, names = ''] of source.matchAll(/^export (?:type )?\{([^}]*)\}$/gm)) {
    for (const name of names.split(',').map(part => part.trim())) {
      const from = new RegExp(`^import .*\\b${name}\\b.* from '([^']+)'`, 'm').exec(source)?.[1]
      if (from !== undefined) found.set(name, { file: join(dirname(file), from), name })
    }
  }
  const own = /^export (?:declare |abstract |async )*(?:class|interface|function\*?|const|let|type) (\w+)/gm
  for (const [, name = ''] of source.matchAll(own)) found.set(name, { file, name })
  return found
}

function declarationOf(file: string, name: string): Declaration | undefined {
  const lines = sourceOf(file).split('\n')
  const pattern = new RegExp(`^export (?:declare |abstract |async )*(class|interface|function\\*?|const|let|type) ${name}\\b`)
  const line = lines.findIndex(text => pattern.test(text))
  if (line >= 0) return { file, lines, line, kind: pattern.exec(lines[line] as string)?.[1] ?? '' }
  const origin = exportsOf(file).get(name)
  return origin === undefined || !existsSync(origin.file) ? undefined : declarationOf(origin.file, origin.name)
}

const hasComment = ({ lines }: Declaration, line: number): boolean => /\*\/\s*$/.test(lines[line - 1] ?? '')

/** Methods and accessors without a comment; of overloads the first counts. */
function bareMethods(declaration: Declaration): string[] {
  const { lines, line } = declaration
  const seen = new Set<string>()
  const bare: string[] = []
  for (let at = line + 1; at < lines.length && lines[at] !== '}'; at++) {
    const name = /^ {2}(?:static |override |async |get |set |\*)*([a-zA-Z]\w*)[(<]/.exec(lines[at] as string)?.[1]
    if (name === undefined || ofProtocols.has(name) || seen.has(name)) continue
    seen.add(name)
    if (!hasComment(declaration, at)) bare.push(name)
  }
  return bare
}

/** Fields of an interface without a comment. */
function bareFields(declaration: Declaration): string[] {
  const { lines, line } = declaration
  const bare: string[] = []
  for (let at = line + 1; at < lines.length && lines[at] !== '}'; at++) {
    const name = /^ {2}(?:readonly )?([a-zA-Z]\w*)\??:/.exec(lines[at] as string)?.[1]
    if (name !== undefined && !hasComment(declaration, at)) bare.push(name)
  }
  return bare
}

test('every exported symbol, every method and every field of an interface has a doc comment', () => {
  const bare = new Set<string>()
  const looked = new Set<string>()
  for (const door of doors) {
    for (const [name, origin] of exportsOf(door)) {
      const declaration = declarationOf(origin.file, origin.name)
      expect(declaration, `${door} exports ${name}, which is not found`).toBeDefined()
      if (declaration === undefined) continue
      const id = `${declaration.file}: ${origin.name}`
      if (looked.has(id)) continue
      looked.add(id)
      if (!hasComment(declaration, declaration.line)) bare.add(id)
      if (declaration.kind !== 'class' && declaration.kind !== 'interface') continue
      for (const method of bareMethods(declaration)) bare.add(`${id}.${method}`)
      if (declaration.kind === 'interface') for (const field of bareFields(declaration)) bare.add(`${id}.${field}`)
    }
  }
  expect([...bare]).toEqual([])
  // The test means nothing if it finds nothing.
  expect(looked.size).toBeGreaterThan(150)
})

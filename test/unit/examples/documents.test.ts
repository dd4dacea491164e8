/**
 * Goal: the documents stay true to the code. Every TypeScript block of them is compiled against the package's doors, each as a module of its own.
 * A block without imports is a fragment: it gets `db`, the names that users import, and what comments `<!-- with: … -->` right before it declare.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const documents = ['README.md', ...readdirSync('docs', { recursive: true, encoding: 'utf8' }).map(file => join('docs', file))].filter(
  file => file.endsWith('.md'),
)

const fragmentHead = [
  "import { type Database, open, type RangeOptions, type Store, type StoreKey } from 'varve'",
  'declare const db: Database',
  '',
].join('\n')

interface Block {
  readonly document: string
  /** Where the code begins, from 1. */
  readonly line: number
  readonly code: string
  /** What a fragment takes for granted. */
  readonly given?: string
}

function blocksOf(document: string): Block[] {
  const lines = readFileSync(document, 'utf8').split('\n')
  const blocks: Block[] = []
  for (let i = 0; i < lines.length; i++) {
    if (lines[i] !== '```ts') continue
    const end = lines.indexOf('```', i)
    if (end < 0) throw new Error(`${document}:${i + 1}: the block has no end`)
    let first = i
    while (lines[first - 1]?.startsWith('<!-- with: ')) first--
    const given = lines.slice(first, i).map(line => line.slice('<!-- with: '.length, -' -->'.length))
    blocks.push({ document, line: i + 2, code: lines.slice(i + 1, end).join('\n'), given: `${given.join('\n')}\n` })
    i = end
  }
  return blocks
}

/** Compiles the blocks together; returns the compiler's complaints about them. */
function compile(blocks: readonly Block[], name: string): string[] {
  const folder = join('reports', name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const { document, line, code, given = '' } of blocks) {
    const head = /^import /m.test(code) ? '' : fragmentHead + given
    writeFileSync(join(folder, `${document.replaceAll(/\W/g, '-')}-${line}.ts`), `${head}${code}\n`)
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  const paths = { varve: ['../../index.ts'], 'varve/*': ['../../*/index.ts'] }
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { noEmit: true, declaration: false, isolatedDeclarations: false, rootDir: '../..', paths },
      include: ['*.ts'],
    }),
  )
  try {
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', folder], { encoding: 'utf8' })
    return []
  } catch (error) {
    return (error as { stdout: string }).stdout.split('\n').filter(line => line.startsWith(folder)) // the sources have a check of their own
  }
}

test('every block of the documents compiles', () => {
  const blocks = documents.flatMap(blocksOf)
  for (const document of ['README.md', 'docs/STORES.md', 'docs/API.md'])
    expect(blocks.some(block => block.document === document)).toBe(true)
  expect(compile(blocks, 'documents')).toEqual([])
})

test('a block with a verb that is not there would be found', () => {
  const block = (line: number, code: string): Block => ({ document: 'README.md', line, code })
  const complaints = compile([block(1, "db.store('a').fetch('b')"), block(9, "await db.store('a').put('b', 1)")], 'documents-broken')
  expect(complaints).toEqual([expect.stringMatching(/README-md-1\.ts.*'fetch' does not exist/)])
})

test('the README can be read in one go, and the architecture names only files that are there', () => {
  expect(readFileSync('README.md', 'utf8').split('\n').length - 1).toBeLessThanOrEqual(200)
  const folders = ['engine', 'stream', 'compute', 'index.ts']
  const sources = folders.flatMap(folder =>
    folder.endsWith('.ts')
      ? [`/${folder}`]
      : readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(file => `/${folder}/${file.replaceAll('\\', '/')}`),
  )
  const named = readFileSync('docs/ARCHITECTURE.md', 'utf8').match(/(?<=`)[a-z0-9/-]+\.ts(?=`)/g) ?? []
  expect(named.length).toBeGreaterThan(40)
  expect(named.filter(name => !sources.some(source => source.endsWith(`/${name}`)))).toEqual([])
})

/** What GitHub and npm make of headings. */
function anchorsOf(document: string): string[] {
  const headings = [...readFileSync(document, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading as string)
  return headings.map(heading =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test('links within the documents lead somewhere, also in the published package', () => {
  const published = (JSON.parse(readFileSync('package.json', 'utf8')) as { files: string[] }).files
  const isPublished = (path: string): boolean => published.some(entry => path === entry || path.startsWith(`${entry}/`))
  const broken: string[] = []
  let links = 0
  for (const document of documents.map(file => file.replaceAll('\\', '/'))) {
    for (const [, target = ''] of readFileSync(document, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      links++
      const [file = '', anchor] = target.split('#')
      const path = file === '' ? document : join(dirname(document), file).replaceAll('\\', '/')
      const isRight = existsSync(path) && isPublished(path) && (anchor === undefined || anchorsOf(path).includes(anchor))
      if (!isRight) broken.push(`${document}: ${target}`)
    }
  }
  expect(links).toBeGreaterThan(20)
  expect(broken).toEqual([])
})

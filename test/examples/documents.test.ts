/**
 * Goal: the documents stay true to the code. Every TypeScript block of them is compiled against the package's doors, each as a module of its own, and run in a
 * process and a folder of its own. Comments right before a block, which readers do not see, say what it needs:
 *
 *   <!-- with: code -->             comes before it. Only for fragments: blocks without imports, which also get `db` and the names that users import
 *   <!-- run: code -->              runs behind it in another module, where `block` has what the block exports, and `open` and `db` are there
 *   <!-- file name: text -->        a file in the folder; \\n is a line end
 *   <!-- goes on for ever -->       it need not end: it must only not fail for a while
 *   <!-- not run: the reason -->    only compiled
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { createProgram } from '../../cli/program.ts'

const documents = ['README.md', ...readdirSync('docs', { recursive: true, encoding: 'utf8' }).map(file => join('docs', file))].filter(
  file => file.endsWith('.md'),
)

const fragmentHead = [
  "import { type Database, open, type RangeOptions, type Store, type StoreKey } from 'varve'",
  "const db: Database = await open('data')",
  '',
].join('\n')

interface Block {
  readonly document: string
  /** Where the code begins, from 1. */
  readonly line: number
  readonly code: string
  /** Comments right before it, without their brackets. */
  readonly comments: readonly string[]
}

const comment = /^<!-- ((?:with|run|not run|file [^:]+): .*|goes on for ever) -->$/

function blocksOf(document: string): Block[] {
  const lines = readFileSync(document, 'utf8').split('\n')
  const blocks: Block[] = []
  for (let i = 0; i < lines.length; i++) {
    if (lines[i] !== '```ts') continue
    const end = lines.indexOf('```', i)
    if (end < 0) throw new Error(`${document}:${i + 1}: the block has no end`)
    let first = i
    while (lines[first - 1]?.startsWith('<!-- ')) first--
    const comments = lines.slice(first, i).map(line => {
      const [, text] = comment.exec(line) ?? []
      if (text === undefined) throw new Error(`${document}:${i + 1}: unknown comment ${line}`)
      return text
    })
    blocks.push({ document, line: i + 2, code: lines.slice(i + 1, end).join('\n'), comments })
    i = end
  }
  return blocks
}

/** What comments of a kind say. */
function said({ comments }: Block, kind: string): string[] {
  return comments.filter(text => text.startsWith(`${kind}: `)).map(text => text.slice(kind.length + 2))
}

function nameOf({ document, line }: Block): string {
  return `${document.replaceAll(/\W/g, '-')}-${line}`
}

function isFragment({ code }: Block): boolean {
  return !/^import /m.test(code)
}

/** Compiles the blocks together, to JavaScript beside them; returns the compiler's complaints about them. */
function compile(blocks: readonly Block[], folder: string): string[] {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const block of blocks) {
    const given = said(block, 'with').map(code => `${code}\n`)
    const code = isFragment(block) ? `${fragmentHead}${given.join('')}${block.code}\nawait db.close()\n` : `${block.code}\n`
    writeFileSync(join(folder, `${nameOf(block)}.ts`), code)
    const run = said(block, 'run').join('\n')
    const head = `import * as block from './${nameOf(block)}.ts'\nimport { open } from 'varve'\nvoid [block, open]\n`
    const withDb = /\bdb\b/.test(run) ? `const db = await open('data')\n${run}\nawait db.close()\n` : `${run}\n`
    writeFileSync(join(folder, `${nameOf(block)}-run.ts`), head + withDb)
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(resolve('.'), join(folder, 'node_modules/varve'), 'junction') // as users import it
  const paths = { varve: ['../../index.ts'], 'varve/*': ['../../*/index.ts'] }
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { declaration: false, isolatedDeclarations: false, rootDir: '../..', outDir: 'out', paths },
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

/** Runs a compiled block; resolves with what it printed, rejects when it fails. */
function run(block: Block, folder: string): Promise<string> {
  const place = mkdtempSync(join(tmpdir(), 'varve-document-'))
  for (const text of block.comments) {
    const [, file = '', content = ''] = /^file ([^:]+): (.*)$/.exec(text) ?? []
    if (file === '') continue
    mkdirSync(dirname(join(place, file)), { recursive: true })
    writeFileSync(join(place, file), content.replaceAll('\\n', '\n'))
  }
  const script = resolve(folder, 'out', folder, `${nameOf(block)}-run.js`)
  const goesOn = block.comments.includes('goes on for ever')
  return new Promise((done, fail) => {
    const child = execFile(process.execPath, [script], { cwd: place, timeout: 25_000 }, (error, stdout, stderr) => {
      rmSync(place, { recursive: true, force: true })
      if (error === null && goesOn) fail(new Error('it ended'))
      else if (error === null || (goesOn && error.signal === 'SIGKILL')) done(stdout)
      else fail(new Error(stderr))
    })
    if (goesOn) setTimeout(() => child.kill('SIGKILL'), 2500)
  })
}

const blocks = documents.flatMap(blocksOf)
const folder = 'reports/documents'

describe('every block of the documents', () => {
  let complaints: string[]
  beforeAll(() => {
    complaints = compile(blocks, folder)
  })

  test('compiles', () => {
    for (const document of ['README.md', 'docs/STORES.md', 'docs/API.md'])
      expect(blocks.some(block => block.document === document)).toBe(true)
    expect(complaints).toEqual([])
  })

  test.concurrent.each(
    blocks.filter(block => said(block, 'not run').length === 0).map(block => [`${block.document}:${block.line}`, block] as const),
  )('%s runs', async (_, block) => {
    await expect(run(block, folder)).resolves.toEqual(expect.any(String))
  })

  test('is run but for a few', () => {
    expect(blocks.filter(block => said(block, 'not run').length > 0).length).toBeLessThanOrEqual(3)
    // What only declares something does nothing when it is loaded.
    const idle = blocks.filter(block => /^export /m.test(block.code) && said(block, 'run').length + said(block, 'not run').length === 0)
    expect(idle.map(block => `${block.document}:${block.line}`)).toEqual([])
  })
})

test('a block with a verb that is not there would be found, and one that fails when it runs', async () => {
  const block = (line: number, code: string): Block => ({ document: 'README.md', line, code, comments: [] })
  const broken = [
    block(1, "db.store('a').fetch('b')"),
    block(9, "await db.store('a').put('b', 1)"),
    block(20, "await db.store('a', { keys: 'string' }).put('', Number)"),
  ]
  expect(compile(broken, 'reports/documents-broken')).toEqual([expect.stringMatching(/README-md-1\.ts.*'fetch' does not exist/)])
  await expect(run(broken[1] as Block, 'reports/documents-broken')).resolves.toBe('')
  await expect(run(broken[0] as Block, 'reports/documents-broken')).rejects.toThrow('fetch is not a function')
})

test('commands of the documents are verbs and options of the command, and scripts of the package', () => {
  const { commands } = createProgram(() => undefined)
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
  const wrong: string[] = []
  let lines = 0
  for (const document of documents) {
    for (const [, block = ''] of readFileSync(document, 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)) {
      for (const line of block.split('\n')) {
        const [command = ''] = line.split(' #')
        for (const [, script = ''] of command.matchAll(/npm run ([\w:-]+)/g)) if (scripts[script] === undefined) wrong.push(line)
        const [, verb, rest = ''] = /(?:^|\| )(?:npx )?varve (\w+)(.*)/.exec(command) ?? []
        if (verb === undefined) continue
        lines++
        const known = commands.find(one => one.name() === verb)
        const options = rest.match(/(?<= )--[a-z-]+/g) ?? []
        if (!options.every(name => known?.options.some(({ long }) => long === name))) wrong.push(line)
        if (known === undefined) wrong.push(line)
      }
    }
  }
  expect(lines).toBeGreaterThan(20)
  expect(wrong).toEqual([])
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

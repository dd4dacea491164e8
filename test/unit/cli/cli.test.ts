/**
 * Goal: the command does what its help and docs/CLI.md say, with the documented exit codes, through the built files that users run. The command is
 * run in few processes, since each costs a tenth of a second.
 */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { exitCodes } from '../../../cli/exit-codes.ts'
import { createProgram } from '../../../cli/program.ts'
import { flip, makeDatabase, openSmall, segmentsOf, temporaryFolder } from '../engine/tools/databases.ts'

const main = resolve('lib/cli/main.js')

interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function varve(folder: string, ...args: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' })
  return { status, stdout, stderr }
}

describe('exit codes and output', () => {
  test('0 and no complaint for a sound database; --json gives one document', async () => {
    const path = await makeDatabase()
    const folder = dirname(path)
    expect(varve(folder, 'verify', 'data')).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('no errors') })
    const json = varve(folder, 'verify', '--json', 'data')
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, segments: 3, findings: [] })
  })

  test('1 for damage, 5 for a repair that lost something, then 0', async () => {
    const path = await makeDatabase()
    const folder = dirname(path)
    const segment = segmentsOf(path)[1] as string
    flip(segment, 1500)
    const found = varve(folder, 'verify', 'data')
    expect(found.status).toBe(exitCodes.findings)
    expect(found.stdout).toMatch(/error {4}segment-0000000005\.seg at byte \d+: /)
    const dry = varve(folder, 'repair', '--dry-run', '--json', 'data')
    expect(dry.status).toBe(exitCodes.losses)
    expect(JSON.parse(dry.stdout)).toMatchObject({ dryRun: true, changed: true })
    const repaired = varve(folder, 'repair', 'data')
    expect(repaired.status).toBe(exitCodes.losses)
    expect(repaired.stdout).toContain('lost ')
    expect(repaired.stdout).toContain('damaged files are kept in data/damaged/')
    expect(varve(folder, 'repair', 'data')).toMatchObject({ status: 0, stdout: 'data: nothing to repair\n' })
  })

  test('2 for a command line that is not understood', () => {
    const folder = temporaryFolder()
    for (const args of [['fly'], ['dump', '--limit', 'x', 'data']]) {
      const { status, stdout, stderr } = varve(folder, ...args)
      expect([status, stdout]).toEqual([exitCodes.usage, ''])
      expect(stderr).toMatch(/^varve: .* \(USAGE\)\n$/)
    }
  })

  test('3 while it is in use', async () => {
    const path = await makeDatabase(1)
    const database = await openSmall(path)
    const { status, stderr } = varve(dirname(path), 'verify', '--json', 'data')
    await database.close()
    expect(status).toBe(exitCodes.locked)
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'LOCKED', details: { owner: { pid: process.pid } } } })
  })

  test('4 for what is no database, in one line without a stack', () => {
    const folder = temporaryFolder()
    const { status, stderr } = varve(folder, 'stats', 'nowhere')
    expect([status, stderr]).toEqual([exitCodes.io, 'varve: nowhere: no such folder (NOT_A_DATABASE)\n'])
  })

  test('6 for stats of a damaged database; VARVE_DEBUG adds the stack', async () => {
    const path = await makeDatabase(1)
    fs.rmSync(join(path, 'catalog', 'data.mdb'))
    const { status, stderr } = spawnSync(process.execPath, [main, 'stats', path], {
      encoding: 'utf8',
      env: { ...process.env, VARVE_DEBUG: '1' },
    })
    expect(status).toBe(exitCodes.damaged)
    expect(stderr).toContain('(CORRUPT)\n')
    expect(stderr).toContain('    at ')
  })

  test('dump ends quietly when its reader does', async () => {
    const path = await makeDatabase()
    const command = `"${process.execPath}" "${main}" dump --json "${segmentsOf(path)[0]}" | head -n 1`
    const { stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' })
    expect(JSON.parse(stdout)).toMatchObject({ type: 'file', kind: 'segment' })
    expect(stderr).toBe('')
  })
})

describe('docs/CLI.md', () => {
  const text = fs.readFileSync('docs/CLI.md', 'utf8')
  const program = createProgram(() => undefined)

  test('has the help of every verb, as it is printed', () => {
    const blocks = [...text.matchAll(/<!-- help: (\w*) ?-->\n```text\n([\s\S]*?)```/g)]
    expect(blocks.map(([, verb]) => verb)).toEqual(['', ...program.commands.map(command => command.name())])
    for (const [, verb, help] of blocks) {
      const command = verb === '' ? program : program.commands.find(each => each.name() === verb)
      let printed = ''
      command?.configureOutput({ writeOut: more => (printed += more) })
      command?.outputHelp()
      expect(help, `varve ${verb} --help`).toBe(printed)
    }
  })

  test('lists every exit code', () => {
    const listed = [...text.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
    expect(listed).toEqual(Object.values(exitCodes))
  })

  test('has examples that run, in their order', async () => {
    const path = await makeDatabase()
    const door = JSON.stringify(new URL('../../../lib/compute/index.js', import.meta.url).href)
    const code = `import { job, readText } from ${door}\nexport default job(import.meta.url, 'late', ({ source }) => source(readText('late.mjs')).limit(1))\n`
    fs.writeFileSync(join(dirname(path), 'late.mjs'), code)
    const examples = [...text.matchAll(/```sh\nvarve (.*)\n```/g)].map(([, line]) => (line as string).split(' '))
    expect(new Set(examples.map(([verb]) => verb))).toEqual(new Set(program.commands.map(command => command.name())))
    for (const args of examples) {
      const { status, stdout, stderr } = varve(dirname(path), ...args)
      expect([status, stderr], args.join(' ')).toEqual([0, ''])
      expect(stdout, args.join(' ')).not.toBe('')
    }
  }, 120_000)
})

import { spawnSync } from 'node:child_process'
import { InvalidArgumentError } from 'commander'
import { describe, expect, test } from 'vitest'
import { toNames, toNumber, toRounds } from '../../bench/command.ts'

describe('options of the benchmark', () => {
  test('names have commas between them, or come one by one; others are refused with what there is', () => {
    const read = toNames(['logs', 'store', 'jobs'])
    expect(read('store', read('logs,jobs,', []))).toEqual(['logs', 'jobs', 'store'])
    expect(() => read('logs,topics', [])).toThrow("Nothing is called 'topics'; there are logs, store, jobs.")
  })

  test('rounds and numbers', () => {
    expect(toRounds('2')).toBe(2)
    for (const wrong of ['0', '-1', '1.5', 'many', '']) expect(() => toRounds(wrong)).toThrow(InvalidArgumentError)
    expect(toNumber('1e3')).toBe(1000)
    for (const wrong of ['', ' ', 'ten']) expect(() => toNumber(wrong)).toThrow(InvalidArgumentError)
  })
})

const run = (script: string, ...args: string[]) => spawnSync(process.execPath, [`dist/bench/${script}.js`, ...args], { encoding: 'utf8' })

describe('the commands', () => {
  test.each([
    ['main', 'npm run bench --', '--areas'],
    ['logs/main', 'npm run bench:logs --', 'topic-send-8'],
    ['store/main', 'npm run bench:store --', 'readrandom'],
    ['jobs/main', 'npm run bench:jobs --', 'group-1m'],
  ])('%s has a help, and says which option is wrong', (script, usage, named) => {
    const help = run(script, '--help')
    expect(help.status).toBe(0)
    expect(help.stdout).toContain(usage)
    expect(help.stdout).toContain(named)
    const wrong = run(script, '--rounds', '0')
    expect(wrong.status).toBe(1)
    expect(wrong.stderr).toContain("'--rounds <count>' argument '0' is invalid. It must be a whole number above 0.")
    expect(wrong.stderr).not.toContain('    at ')
  })

  test('parameters of stores that make no sense are named', () => {
    const { status, stderr } = run('store/main', '--n', '3', '--small')
    expect(status).toBe(1)
    expect(stderr).toContain('error: option --n 3: a whole number from 200 to 100000000')
    expect(stderr).not.toContain('    at ')
  })
})

/**
 * Goal: every workload of the benchmark of jobs still runs on every product that the install has, and all of them give the same answer. What a report says follows from the samples alone. Nothing is
 * timed here. Inputs are a thousandth of the usual, and Varve works in this thread; one run goes the whole way, through processes and worker threads.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jobsMarkdown } from '../../bench/jobs/report/markdown.ts'
import { type JobResults, judgeJobs, summarizeJobs } from '../../bench/jobs/report/summary.ts'
import { answerCheck, runAllJobs } from '../../bench/jobs/run.ts'
import { runJobWorkload } from '../../bench/jobs/run-workload.ts'
import type { Contestant, JobSample, JobWorkload, JobWorkloadResults } from '../../bench/jobs/workload.ts'
import { findContestant, findJobWorkload, jobWorkloads } from '../../bench/jobs/workloads.ts'

let data: string

beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), 'varve-bench-jobs-'))
})

afterAll(() => {
  rmSync(data, { recursive: true, force: true })
})

/** Of those that differ in threads alone the first; Polars is in an install of its own, and starts are processes. */
function here({ name, contestants }: JobWorkload): readonly Contestant[] {
  return name === 'cold-start' ? [] : contestants.filter(({ name, product }) => product !== 'polars' && !name.endsWith('1 thread'))
}

describe('workloads', () => {
  test.each(jobWorkloads.filter(workload => here(workload).length > 0).map(({ name }) => name))('%s', async name => {
    const workload = findJobWorkload(name)
    const answers: unknown[] = []
    for (const contestant of here(workload)) {
      const sample = await runJobWorkload({
        workload,
        contestant: contestant.name,
        size: 'small',
        data,
        own: join(data, 'own', contestant.name),
        threads: 0,
      })
      expect(sample.operations).toBe(workload.operations(workload.parameters.small))
      expect(sample.elapsedMs).toBeGreaterThan(0)
      expect(sample.rssBytes).toBeGreaterThan(1e6)
      expect(sample.cpuMs).toBeGreaterThan(0)
      answers.push(sample.answer)
    }
    expect(JSON.stringify(answers[0])).not.toMatch(/null|^\[\]$/)
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  test('a run goes through processes, inputs and worker threads', async () => {
    const workload = findJobWorkload('words-closures')
    const select = (...names: string[]): Contestant[] => names.map(name => findContestant(workload, name))
    const { results, failures } = await runAllJobs({
      selected: [{ workload, contestants: select('varve 1 thread', 'javascript') }],
      rounds: 1,
      size: 'small',
      data: join(data, 'processes'),
      folder: data,
    })
    expect(failures).toEqual([])
    expect(results[0]?.runs.map(({ name, samples }) => [name, samples.length])).toEqual([
      ['varve 1 thread', 1],
      ['javascript', 1],
    ])
    const same = answerCheck()
    for (const [i, one] of results[0]?.runs.entries() ?? []) same(one.samples[0] as JobSample, String(i))
    expect(() => same({ answer: [] }, 'liar')).toThrow(/^answers \[\], but 0 \[\[/)
  })

  test('names are unique, and every comparison is with a contestant of the workload', () => {
    expect(new Set(jobWorkloads.map(({ name }) => name)).size).toBe(jobWorkloads.length)
    for (const { contestants, targets } of jobWorkloads) {
      const names = contestants.map(({ name }) => name)
      expect(new Set(names).size).toBe(names.length)
      expect(names[0]).toBe('varve')
      for (const { of, atLeast, atMost } of targets) {
        if (of !== undefined) expect(names).toContain(of)
        expect([atLeast, atMost].filter(bound => bound !== undefined)).toHaveLength(1)
      }
    }
    expect(() => findJobWorkload('no-such')).toThrow(/no workload is called 'no-such'/)
    expect(() => findContestant(findJobWorkload('words'), 'no-such')).toThrow(/words has no contestant 'no-such'/)
  })
})

describe('reports', () => {
  const sample = (elapsedMs: number, more: Partial<JobSample> = {}): JobSample => ({
    operations: 1000,
    payloadBytes: 0,
    elapsedMs,
    firstMs: 2 * elapsedMs,
    cpuMs: 1.5 * elapsedMs,
    runs: 3,
    rssBytes: 100e6,
    answer: [1],
    ...more,
  })
  const run = (name: string, product: 'varve' | 'duckdb', samples: (JobSample | null)[]): JobWorkloadResults['runs'][number] => ({
    name,
    product,
    threads: 2,
    reads: 'topic',
    samples,
  })
  const results: JobResults = {
    machine: { cpu: 'Example CPU', cpuCount: 2, memoryBytes: 2 ** 34, system: 'linux 6', fileSystem: 'ext4', node: 'v20.19.0' },
    date: '2026-01-01T00:00:00.000Z',
    size: 'small',
    rounds: 3,
    products: [{ name: 'varve', version: '0.1.0' }],
    missing: [{ name: 'polars', reason: 'not installed' }],
    workloads: [
      {
        name: 'group',
        what: 'groups',
        mode: 'expressions',
        sink: 'rows',
        unit: 'rows',
        targets: [
          { metric: 'rate', atLeast: 5000 },
          { metric: 'rate', of: 'duckdb csv', atLeast: 3 },
          { metric: 'rssBytes', atMost: 150e6 },
          { metric: 'rate', of: 'duckdb table', atLeast: 1 },
        ],
        date: '2026-01-01T00:00:00.000Z',
        rounds: 3,
        used: { rows: 1000 },
        // The machine halves its speed in the second round, and a run of the third failed.
        runs: [
          run('varve', 'varve', [sample(200), sample(400), sample(200, { rssBytes: 200e6 })]),
          run('duckdb csv', 'duckdb', [sample(400), sample(800), null]),
          run('duckdb table', 'duckdb', [null, null, null]),
        ],
      },
    ],
  }

  test('ratios are formed within a round, RSS is the largest, and what failed says nothing', () => {
    const [varve, csv, table] = summarizeJobs(results)
    expect(varve).toMatchObject({
      rate: 5000,
      varveTimes: undefined,
      megabytesPerSecond: undefined,
      rssBytes: 200e6,
      firstMs: 400,
      cpuMs: 300,
    })
    expect(csv).toMatchObject({ varveTimes: 2 })
    expect(table).toMatchObject({ rate: undefined, varveTimes: undefined })
    expect(judgeJobs(results).map(({ measured, met }) => [measured, met])).toEqual([
      [5000, true],
      [2, false],
      [200e6, false],
      [undefined, undefined],
    ])
  })

  test('JOBS.md names machine, products, ratios and verdicts', () => {
    const text = jobsMarkdown(JSON.parse(JSON.stringify(results)) as JobResults)
    for (const part of ['Example CPU, 2 CPUs', '16 GiB', 'v20.19.0', '2026-01-01', '3 rounds', 'varve 0.1.0', 'polars (not installed)']) {
      expect(text).toContain(part)
    }
    expect(text).toContain('| group | 5000 rows/s |')
    expect(text).toContain('| group | duckdb csv | 2 | topic |')
    expect(text).toContain('| 2.00 x |')
    expect(text).toContain('| group | rate >= 3.00 x that of duckdb csv | 2.00 x | no |')
    expect(text).toContain('| group | RSS <= 150 MB | 200 MB | no |')
  })
})

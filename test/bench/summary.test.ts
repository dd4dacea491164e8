/**
 * Goal: what a benchmark claims follows from its samples: medians over rounds, ratios within a round, targets judged, and LOGS.md drawn
 * from the stored JSON alone.
 */

import { describe, expect, test } from 'vitest'
import { logsMarkdown } from '../../bench/logs/report/markdown.ts'
import { judgeLogs, type LogResults, summarizeLogs } from '../../bench/logs/report/summary.ts'
import { selectWorkloads } from '../../bench/logs/run.ts'
import type { Target, WorkloadFacts } from '../../bench/logs/workload.ts'
import { workloads } from '../../bench/logs/workloads.ts'
import { median } from '../../bench/report/statistics.ts'
import type { Sample } from '../../bench/workload.ts'

function sample(elapsedMs: number, more: Partial<Sample> = {}): Sample {
  return { operations: 1000, payloadBytes: 100_000, elapsedMs, rssBytes: 50e6, ...more }
}

function facts(name: string, targets: readonly Target[], more: Partial<WorkloadFacts> = {}): WorkloadFacts {
  return { name, what: `does ${name}`, durability: 'sync', unit: 'records', latencyOf: 'batch', targets, ...more }
}

const results: LogResults = {
  machine: { cpu: 'Example CPU', cpuCount: 2, memoryBytes: 2 ** 34, system: 'linux 6', fileSystem: 'ext4', node: 'v20.19.0' },
  date: '2026-01-01T00:00:00.000Z',
  size: 'small',
  rounds: 3,
  workloads: [
    // The machine halves its speed in the second round: a ratio of medians would show it, the median of ratios must not.
    { ...facts('raw', []), used: { records: 1000 }, samples: [sample(100), sample(200), sample(100)] },
    {
      ...facts(
        'log',
        [
          { metric: 'rate', atLeast: 5000 },
          { metric: 'rate', of: 'raw', atLeast: 0.6 },
          { metric: 'elapsedMs', of: 'raw', atMost: 1.5 },
          { metric: 'p50Us', atMost: 10 },
        ],
        { raw: { metric: 'megabytesPerSecond', of: 'raw' } },
      ),
      used: { records: 1000, logs: 1 },
      samples: [
        sample(200, { writtenBytes: 150_000 }),
        sample(400, { writtenBytes: 250_000 }),
        sample(200, { maxUs: 9, writtenBytes: 200_000 }),
      ],
    },
  ],
}

describe('summary', () => {
  test('median', () => {
    expect(median([])).toBe(undefined)
    expect(median([undefined])).toBe(undefined)
    expect(median([3, undefined, 1, 2])).toBe(2)
    expect(median([4, 1, 3, 2])).toBe(2.5)
  })

  test('rows are medians over the rounds, maxima the largest, ratios within a round', () => {
    const [raw, log] = summarizeLogs(results)
    expect(raw).toMatchObject({ rate: 10_000, megabytesPerSecond: 1, p50Us: undefined, maxUs: undefined, toRaw: undefined })
    expect(log).toMatchObject({ rate: 5000, toRaw: 0.5, writtenPerByte: 2, maxUs: 9 })
  })

  test('targets are judged at their bounds, and not at all without a measurement', () => {
    expect(judgeLogs(results).map(({ measured, met }) => ({ measured, met }))).toEqual([
      { measured: 5000, met: true },
      { measured: 0.5, met: false },
      { measured: 2, met: false },
      { measured: undefined, met: undefined },
    ])
  })

  test('LOGS.md names machine, file system, runtime, date, durability, ratios and verdicts', () => {
    const text = logsMarkdown(JSON.parse(JSON.stringify(results)) as LogResults)
    for (const part of ['Example CPU, 2 CPUs', '16 GiB', 'ext4', 'v20.19.0', '2026-01-01', '3 rounds', '| log | sync | 5000 records |'])
      expect(text).toContain(part)
    expect(text).toContain('0.50 x MB/s of raw')
    expect(text).toContain('| log | rate >= 5000/s | 5000/s | yes |')
    expect(text).toContain('| log | rate >= 0.60 x that of raw | 0.50 x | no |')
    expect(text).toContain('| log | p50 <= 10.0 µs | – | – |')
  })
})

describe('the table of workloads', () => {
  test('names are unique, and every comparison is with a workload of the table', () => {
    const names = workloads.map(workload => workload.name)
    expect(new Set(names).size).toBe(names.length)
    for (const { targets, raw } of workloads)
      for (const { of } of [...targets, ...(raw === undefined ? [] : [raw])]) if (of !== undefined) expect(names).toContain(of)
    for (const { targets } of workloads)
      for (const { atLeast, atMost } of targets) expect([atLeast, atMost].filter(bound => bound !== undefined)).toHaveLength(1)
  })

  test('a selection brings along what it is compared with', () => {
    const all = workloads.map(workload => ({ ...workload }))
    const usual = all.filter(({ onlyByName }) => onlyByName !== true).map(({ name }) => name)
    expect(usual.length).toBeLessThan(all.length)
    expect(selectWorkloads(all, []).map(workload => workload.name)).toEqual(usual)
    expect(selectWorkloads(all, ['topic-open-10gb']).map(workload => workload.name)).toEqual(['topic-open-10gb'])
    const compared = {
      ...(all[0] as (typeof all)[number]),
      name: 'compared',
      targets: [{ metric: 'rate', of: 'raw-read', atLeast: 1 }] as const,
    }
    expect(selectWorkloads([...all, compared], ['compared']).map(workload => workload.name)).toEqual(['raw-read', 'compared'])
    expect(() => selectWorkloads(all, ['no-such'])).toThrow(/no workload is called 'no-such'/)
  })
})

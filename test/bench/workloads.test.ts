/**
 * Goal: every workload of the benchmark still runs and does the work that it claims: a run with small parameters passes its own checks and
 * yields sane numbers. Nothing is timed here.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runOnce } from '../../bench/logs/run.ts'
import { findWorkload, workloads } from '../../bench/logs/workloads.ts'
import { Measurement } from '../../bench/measurement.ts'
import { expectEqual, type Sample } from '../../bench/workload.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-bench-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

function expectSane(sample: Sample): void {
  expect(sample.operations).toBeGreaterThan(0)
  expect(sample.payloadBytes).toBeGreaterThanOrEqual(0)
  expect(sample.elapsedMs).toBeGreaterThan(0)
  expect(sample.rssBytes).toBeGreaterThan(1e6)
  if (sample.p50Us !== undefined) {
    expect(sample.p50Us).toBeGreaterThan(0)
    expect(sample.p99Us).toBeGreaterThanOrEqual(sample.p50Us)
    expect(sample.maxUs).toBeGreaterThanOrEqual(sample.p99Us as number)
  }
  if (sample.writtenBytes !== undefined) expect(sample.writtenBytes).toBeGreaterThanOrEqual(0)
}

test.each(workloads.map(workload => workload.name))('%s', async name => {
  const measurement = new Measurement(folder)
  const workload = findWorkload(name)
  await workload.run(measurement, 'small')
  const sample = measurement.sample()
  expectSane(sample)
  const { records, appends, writes } = workload.parameters.small
  if (workload.unit === 'records') expect(sample.operations).toBe(records)
  if (workload.unit === 'appends') expect(sample.operations).toBe(appends)
  if (workload.unit === 'writes') expect(sample.operations).toBe(writes)
})

test('a run in a process of its own yields the same kind of sample, and its folder is gone', async () => {
  const sample = await runOnce('raw-write-async', 'small', join(folder, 'run'))
  expectSane(sample)
  expect(sample.operations).toBe(findWorkload('raw-write-async').parameters.small.writes)
  await expect(runOnce('no-such', 'small', join(folder, 'run'))).rejects.toThrow(/no workload is called 'no-such'/)
})

test('a measurement measures once, and not nothing', async () => {
  const measurement = new Measurement(folder)
  expect(() => measurement.sample()).toThrow(/measured nothing/)
  await measurement.measure(async () => ({ operations: 1, payloadBytes: 0 }))
  await expect(measurement.measure(async () => ({ operations: 1, payloadBytes: 0 }))).rejects.toThrow(/measures once/)
  expect(() => expectEqual('count', 1, 2)).toThrow('count: 1, expected 2')
})

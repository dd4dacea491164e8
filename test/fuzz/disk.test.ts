/**
 * Goal: on the real disk with the real LMDB, a damaged file of any kind gives the right data, a prefix, or a typed error, and does not end the
 * process. Each batch runs in a child; a child that dies is reported with the case that killed it.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const childPath = resolve('test/fuzz/disk-child.mjs')
const casesPerBatch = Number(process.env.VARVE_FUZZ_DISK_CASES ?? 20)
const firstSeed = Number(process.env.VARVE_FUZZ_DISK_SEED ?? 1)

let root = ''

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'varve-fuzz-'))
  await promisify(execFile)(process.execPath, [childPath, 'make', join(root, 'source')])
})

afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

async function runBatch(seed: number): Promise<{ outcomes: string[]; death: string | undefined }> {
  const args = [childPath, 'batch', join(root, 'source'), root, String(seed), String(casesPerBatch)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  let errorText = ''
  child.stdout.setEncoding('utf8').on('data', (data: string) => (text += data))
  child.stderr.setEncoding('utf8').on('data', (data: string) => (errorText += data))
  await once(child, 'close')
  const lines = text.split('\n').filter(line => line.length > 0)
  const begun = lines.filter(line => line.startsWith('C ')).at(-1)
  const isDead = child.exitCode !== 0 || child.signalCode !== null
  const death = isDead ? `case ${begun}: ${child.exitCode} ${child.signalCode} ${errorText.slice(0, 500)}` : undefined
  return { outcomes: lines.filter(line => line.startsWith('O ')), death }
}

test('damaged folders on the real disk', async () => {
  const batches = await Promise.all([runBatch(firstSeed), runBatch(firstSeed + casesPerBatch)])
  expect(batches.map(batch => batch.death)).toEqual([undefined, undefined])
  const outcomes = batches.flatMap(batch => batch.outcomes)
  expect(outcomes.filter(line => line.includes('FAILED'))).toEqual([])
  expect(outcomes.length).toBe(2 * casesPerBatch)
  expect(outcomes.filter(line => line.endsWith('right')).length).toBeGreaterThan(0)
  expect(outcomes.filter(line => line.includes('error CORRUPT')).length).toBeGreaterThan(0)
}, 600_000)

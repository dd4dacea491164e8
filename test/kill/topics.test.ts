/**
 * Goal: when the process that sends to a topic and consumes it is killed with SIGKILL again and again, nothing acknowledged is lost and the checker of histories
 * finds nothing; at-least-once processes every record, perhaps twice, at-most-once none twice, perhaps not at all, and exactly-once each
 * one once: in its output too. `npm run soak:kill` goes on with it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { KilledTopics } from './topics-run.ts'

let folder = ''

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-kill-topics-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

test('six kills of one folder, one of them while it opens', async () => {
  const victim = new KilledTopics(join(folder, 'data'))
  const complaints: string[] = []
  for (let round = 0; round < 6; round++) {
    const whileOpening = round === 3
    complaints.push(...(await victim.kill(round + 1, whileOpening ? 150 : 40 + round * 20, !whileOpening)))
  }
  const { failures, recipes, acknowledged, report } = await victim.judge()
  expect(complaints).toEqual([])
  expect(failures).toBe('')
  expect(report.fullyRead.size).toBe(6)
  expect(acknowledged).toBeGreaterThan(100)
  expect(recipes.least.losses).toBe(0)
  expect(recipes.most.duplicates).toBe(0)
  expect(recipes.exactly).toMatchObject({ losses: 0, duplicates: 0 })
})

test('a group that promises at most once and commits after processing is found out', async () => {
  const victim = new KilledTopics(join(folder, 'data'), 'broken')
  for (let round = 0; round < 30; round++) {
    await victim.kill(round + 1, 80, true)
    if (round % 5 < 4) continue
    const { failures, recipes } = await victim.judge()
    if (recipes.most.duplicates === 0) continue
    expect(failures).toContain('group-duplicate: group most')
    return
  }
  expect.fail('thirty kills made no duplicate')
})

/**
 * Probe: three replicas of a log over simulated machines and a simulated network elect leaders, replicate, lose power at drawn disk operations, are cut
 * off, fail writes, fill their tails; when the faults end they agree byte for byte, nothing that was acknowledged is lost, and state machines equal a
 * fold over the log. The protocol is in test/support/replication/; many more seeds: `npm run soak:replication -- --seeds 1000`.
 */
import { describe, expect, test } from 'vitest'
import { Cluster, type Outcome } from '../support/replication/cluster.ts'

// Those of the first seven that take a second or less; together they meet everything named below.
const seeds = [1, 2, 3, 5, 6, 7]

describe('replication over Log', () => {
  const outcomes: Outcome[] = []

  test.each(seeds)('seed %i converges', async seed => {
    const outcome = await new Cluster(seed).run()
    outcomes.push(outcome)
    expect(outcome.counters.acknowledged).toBeGreaterThan(0)
  })

  test('the seeds together meet what the probe is for', () => {
    const sum = (name: string): number => outcomes.reduce((total, { counters }) => total + (counters[name] ?? 0), 0)
    const names = [
      'powerLosses',
      'kills',
      'splits',
      'failedWrites',
      'poisoned',
      'lost',
      'doubled',
      'refused',
      'flushes',
      'carried',
      'staged',
      'busy',
    ]
    expect(names.filter(name => sum(name) === 0)).toEqual([])
    expect(sum('terms')).toBeGreaterThan(seeds.length)
    expect(new Set(outcomes.map(({ plan }) => plan.kind))).toEqual(new Set(['topic', 'store']))
  })

  test('a seed run twice leaves the same trace and the same bytes on all three disks', async () => {
    const once = outcomes[2] ?? (await new Cluster(3).run())
    const twice = await new Cluster(once.seed).run()
    expect(twice).toEqual(once)
    expect(new Set(once.disks).size).toBe(3)
  })
})

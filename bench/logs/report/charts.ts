/** Charts of what is compared: each workload beside the raw disk, SQLite or another workload that a ratio of it names. */
import type { Chart } from '../../report/chart.ts'
import { count, fixed, micros } from '../../report/units.ts'
import type { Metric, Quantity } from '../workload.ts'
import { compared, type LogResults, middleOf } from './summary.ts'

const axes: { readonly [metric in Metric]: string } = {
  rate: 'a second (more is better)',
  megabytesPerSecond: 'MB/s (more is better)',
  elapsedMs: 'ms (less is better)',
  p50Us: 'p50, µs (less is better)',
  p99Us: 'p99, µs (less is better)',
  loopP999Ms: 'loop p99.9, ms (less is better)',
  rssBytes: 'RSS, bytes (less is better)',
}

export function logCharts(results: LogResults): Chart[] {
  return results.workloads.flatMap(({ name, what, targets, ...facts }) =>
    compared({ targets, ...facts }).flatMap((quantity): Chart[] => {
      const { metric, of } = quantity
      const [own, other] = [name, of as string].map(one => middleOf(results, one, metric))
      if (own === undefined || other === undefined) return []
      const bar = (label: string, value: number, isOurs: boolean): Chart['bars'][number] => ({
        label,
        value,
        text: words(quantity, value),
        isOurs,
      })
      const absolute = targets.find(target => target.of === undefined && target.metric === metric)
      return [
        {
          title: `${name} beside ${of}`,
          subtitle: what,
          axis: axes[metric],
          bars: [bar(name, own, true), bar(of as string, other, isOurs(of as string))],
          target: absolute?.atLeast ?? absolute?.atMost,
        },
      ]
    }),
  )
}

function isOurs(name: string): boolean {
  return !name.startsWith('raw-') && !name.startsWith('sqlite-') && !name.startsWith('redis-')
}

function words({ metric }: Quantity, value: number): string {
  if (metric === 'p50Us' || metric === 'p99Us') return micros(value)
  return metric === 'rate' ? count(value) : fixed(value, metric === 'elapsedMs' ? 0 : 1)
}

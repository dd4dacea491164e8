/** Charts of the engines side by side, one a workload. */
import type { Chart } from '../../report/chart.ts'
import { count } from '../../report/units.ts'
import { subject } from '../engines.ts'
import { type StoreResults, summarizeStore } from './summary.ts'

export function storeCharts(results: StoreResults): Chart[] {
  const rows = summarizeStore(results)
  return results.workloads.flatMap(workload => {
    const bars = rows
      .filter(row => row.workload === workload)
      .flatMap(({ engine, rate }) =>
        rate === undefined ? [] : [{ label: engine, value: rate, text: count(rate), isOurs: engine === subject }],
      )
    const target = workload.targets.find(({ metric, toBestPeer }) => metric === 'rate' && toBestPeer !== true)?.atLeast
    return bars.length === 0
      ? []
      : [{ title: workload.name, subtitle: workload.what, axis: `${workload.unit} a second (more is better)`, bars, target }]
  })
}

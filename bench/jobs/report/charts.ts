/** Charts of the contestants side by side, one a workload. */
import type { Bar, Chart } from '../../report/chart.ts'
import { speed } from './cells.ts'
import { type JobResults, type JobRow, summarizeJobs } from './summary.ts'

export function jobCharts(results: JobResults): Chart[] {
  const rows = summarizeJobs(results)
  return results.workloads.flatMap((workload): Chart[] => {
    const own = rows.filter(row => row.workload === workload && row.rate !== undefined)
    if (own.length === 0) return []
    const isTime = workload.unit === 'starts'
    const isBytes = !isTime && own.some(({ megabytesPerSecond }) => megabytesPerSecond !== undefined)
    const value = (row: JobRow): number => (isTime ? row.elapsedMs : isBytes ? row.megabytesPerSecond : row.rate) as number
    const metric = isTime ? 'elapsedMs' : isBytes ? 'megabytesPerSecond' : 'rate'
    const target = workload.targets.find(one => one.metric === metric && one.of === undefined)
    return [
      {
        title: workload.name,
        subtitle: workload.what,
        axis: isTime ? 'ms (less is better)' : `${isBytes ? 'MB' : workload.unit} a second (more is better)`,
        bars: own.map((row): Bar => ({ label: row.run.name, value: value(row), text: speed(row), isOurs: row.run.product === 'varve' })),
        target: target?.atLeast ?? target?.atMost,
      },
    ]
  })
}

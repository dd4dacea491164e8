/** The two tables of a report as plain cells; the terminal and RESULTS.md draw the same cells. */

import type { TextTable } from '../../report/tables.ts'
import { count, fixed, megabytes, micros, ratio, yesNo } from '../../report/units.ts'
import type { Metric, Target } from '../workload.ts'
import { compared, judgeLogs, type LogResults, type Row, ratioOf, summarizeLogs, type Verdict } from './summary.ts'

const resultHead: readonly string[] = [
  'workload',
  'durability',
  'rate /s',
  'MB/s',
  'p50',
  'p99',
  'max',
  'written/byte',
  'RSS MB',
  'loop p99.9 ms',
  'loop max ms',
  'to raw',
]

function resultCells(row: Row): string[] {
  const { facts } = row
  return [
    facts.name,
    facts.durability,
    `${count(row.rate)} ${facts.unit}`,
    fixed(row.megabytesPerSecond, 0),
    micros(row.p50Us),
    micros(row.p99Us),
    micros(row.maxUs),
    fixed(row.writtenPerByte, 2),
    megabytes(row.rssBytes),
    fixed(row.loopP999Ms, 1),
    fixed(row.loopMaxMs, 1),
    facts.raw === undefined || row.toRaw === undefined
      ? '–'
      : `${fixed(row.toRaw, 2)} x ${metricWords[facts.raw.metric]} of ${facts.raw.of}`,
  ]
}

const targetHead: readonly string[] = ['workload', 'target', 'measured', 'met']

function targetCells({ name, target, measured, met }: Verdict): string[] {
  return [name, targetWords(target), amount(target, measured), yesNo(met)]
}

export function resultTable(results: LogResults): TextTable {
  return { head: resultHead, rows: summarizeLogs(results).map(resultCells) }
}

/** Each workload beside what it is compared with. */
export function comparisonTable(results: LogResults): TextTable {
  return {
    head: ['workload', 'rate /s', 'MB/s', 'compared'],
    rows: summarizeLogs(results).map(row => [
      row.facts.name,
      `${count(row.rate)} ${row.facts.unit}`,
      fixed(row.megabytesPerSecond, 0),
      compared(row.facts)
        .map(quantity => `${ratio(ratioOf(results, row.facts.name, quantity))} ${metricWords[quantity.metric]} of ${quantity.of}`)
        .join('; ') || '–',
    ]),
  }
}

export function targetTable(results: LogResults): TextTable {
  return { head: targetHead, rows: judgeLogs(results).map(targetCells) }
}

const metricWords: { readonly [metric in Metric]: string } = {
  rate: 'rate',
  megabytesPerSecond: 'MB/s',
  elapsedMs: 'time',
  p50Us: 'p50',
  p99Us: 'p99',
  loopP999Ms: 'loop p99.9',
  rssBytes: 'RSS MB',
}

function targetWords(target: Target): string {
  const bound = target.atLeast === undefined ? `<= ${amount(target, target.atMost)}` : `>= ${amount(target, target.atLeast)}`
  return `${metricWords[target.metric]} ${bound}${target.of === undefined ? '' : ` that of ${target.of}`}`
}

function amount({ metric, of }: Target, value: number | undefined): string {
  if (of !== undefined) return ratio(value)
  switch (metric) {
    case 'rate':
      return `${count(value)}/s`
    case 'megabytesPerSecond':
      return fixed(value, 0)
    case 'p50Us':
    case 'p99Us':
      return micros(value)
    case 'rssBytes':
      return megabytes(value)
    case 'elapsedMs':
    case 'loopP999Ms':
      return `${fixed(value, 1)} ms`
  }
}

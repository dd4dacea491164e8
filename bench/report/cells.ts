/** Numbers as people read them, and the two tables of a report as plain cells; the terminal and RESULTS.md draw the same cells. */

import type { Metric, Target } from '../workload.ts'
import type { Row, Verdict } from './summary.ts'

export const resultHead: readonly string[] = [
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

export function resultCells(row: Row): string[] {
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
    fixed(row.rssBytes === undefined ? undefined : row.rssBytes / 1e6, 0),
    fixed(row.loopP999Ms, 1),
    fixed(row.loopMaxMs, 1),
    facts.raw === undefined || row.toRaw === undefined
      ? '–'
      : `${fixed(row.toRaw, 2)} x ${metricWords[facts.raw.metric]} of ${facts.raw.of}`,
  ]
}

export const targetHead: readonly string[] = ['workload', 'target', 'measured', 'met']

export function targetCells({ name, target, measured, met }: Verdict): string[] {
  return [name, targetWords(target), amount(target, measured), met === undefined ? '–' : met ? 'yes' : 'no']
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
  if (of !== undefined) return value === undefined ? '–' : `${fixed(value, 2)} x`
  switch (metric) {
    case 'rate':
      return `${count(value)}/s`
    case 'megabytesPerSecond':
      return fixed(value, 0)
    case 'p50Us':
    case 'p99Us':
      return micros(value)
    case 'rssBytes':
      return fixed(value === undefined ? undefined : value / 1e6, 0)
    case 'elapsedMs':
    case 'loopP999Ms':
      return `${fixed(value, 1)} ms`
  }
}

export function count(value: number | undefined): string {
  if (value === undefined) return '–'
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

function micros(value: number | undefined): string {
  if (value === undefined) return '–'
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} ms` : value >= 100 ? `${value.toFixed(0)} µs` : `${value.toFixed(1)} µs`
}

function fixed(value: number | undefined, digits: number): string {
  return value === undefined ? '–' : value.toFixed(digits)
}

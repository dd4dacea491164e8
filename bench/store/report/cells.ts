/** The tables of a report as plain cells; the terminal and STORE.md draw the same cells. */

import type { TextTable } from '../../report/tables.ts'
import { count, fixed, megabytes, micros, ratio, yesNo } from '../../report/units.ts'
import type { StoreTarget } from '../workload.ts'
import { judgeStore, type StoreResults, type StoreRow, type StoreVerdict, summarizeStore } from './summary.ts'

/** Workloads down, engines across. */
export function overviewTable(results: StoreResults): TextTable {
  const rows = summarizeStore(results)
  const names = results.engines.map(engine => engine.name)
  return {
    head: ['µs per operation', ...names, 'to best peer', 'best peer'],
    rows: results.workloads.map(workload => {
      const own = rows.filter(row => row.workload === workload)
      const of = (name: string): StoreRow | undefined => own.find(row => row.engine === name)
      const peers = own.filter(row => row.engine !== names[0] && row.rate !== undefined)
      const best = peers.reduce<StoreRow | undefined>(
        (a, b) => (a === undefined || (b.rate as number) > (a.rate as number) ? b : a),
        undefined,
      )
      return [workload.name, ...names.map(name => plain(of(name)?.microsPerOperation)), ratio(of('varve')?.toBestPeer), best?.engine ?? '–']
    }),
  }
}

export function detailTable(results: StoreResults): TextTable {
  return {
    head: [
      'workload',
      'engine',
      'durability',
      'rate /s',
      'MB/s',
      'p50',
      'p99',
      'max',
      'puts /s',
      'put p99',
      'put max',
      'disk/raw',
      '+ log',
      'peak/raw',
      '+ log',
      'RSS MB',
      'loop p99.9 ms',
      'loop max ms',
      'to best peer',
    ],
    rows: summarizeStore(results).map(row => [
      row.workload.name,
      row.engine,
      row.durability,
      `${count(row.rate)} ${row.workload.unit}`,
      fixed(row.megabytesPerSecond, 0),
      micros(row.p50Us),
      micros(row.p99Us),
      micros(row.maxUs),
      count(row.putsPerSecond),
      micros(row.putP99Us),
      micros(row.putMaxUs),
      fixed(row.diskToRaw, 2),
      fixed(row.diskAllToRaw, 2),
      fixed(row.diskPeakToRaw, 2),
      fixed(row.diskPeakAllToRaw, 2),
      megabytes(row.rssBytes),
      fixed(row.loopP999Ms, 1),
      fixed(row.loopMaxMs, 1),
      ratio(row.toBestPeer),
    ]),
  }
}

export function targetTable(results: StoreResults): TextTable {
  return {
    head: ['workload', 'target', 'measured', 'met'],
    rows: judgeStore(results).map(({ name, target, measured, peer, met }: StoreVerdict) => [
      name,
      `${targetWords[target.metric]} ${target.atLeast === undefined ? `<= ${amount(target, target.atMost)}` : `>= ${amount(target, target.atLeast)}`}${
        target.toBestPeer === true ? ' that of the best peer' : ''
      }`,
      `${amount(target, measured)}${peer === undefined ? '' : ` (${peer})`}`,
      yesNo(met),
    ]),
  }
}

const targetWords: { readonly [metric in StoreTarget['metric']]: string } = {
  rate: 'rate',
  p50Us: 'p50',
  p99Us: 'p99',
  putMaxUs: 'longest put',
  loopP999Ms: 'loop p99.9',
  loopMaxMs: 'loop max',
  diskToRaw: 'disk/raw, log aside,',
  diskPeakToRaw: 'peak disk/raw, log aside,',
  rssBytes: 'RSS',
}

function amount({ metric, toBestPeer }: StoreTarget, value: number | undefined): string {
  if (toBestPeer === true) return ratio(value)
  switch (metric) {
    case 'rate':
      return `${count(value)}/s`
    case 'p50Us':
    case 'p99Us':
    case 'putMaxUs':
      return micros(value)
    case 'loopP999Ms':
    case 'loopMaxMs':
      return `${fixed(value, 1)} ms`
    case 'diskToRaw':
    case 'diskPeakToRaw':
      return fixed(value, 2)
    case 'rssBytes':
      return `${megabytes(value)} MB`
  }
}

function plain(value: number | undefined): string {
  if (value === undefined) return '–'
  return value >= 1000 ? count(value) : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

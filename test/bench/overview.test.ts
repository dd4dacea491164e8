/**
 * Goal: the overview of all areas is drawn from stored results alone, with targets beside figures; its page has charts and opens without a network. What an area found and what one lacks are
 * told apart.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Area } from '../../bench/area.ts'
import { areas } from '../../bench/areas.ts'
import { writeOverview } from '../../bench/overview.ts'
import type { Chart } from '../../bench/report/chart.ts'
import { pageHtml } from '../../bench/report/page.ts'
import { runAreas } from '../../bench/run-areas.ts'
import { checkAlike, mergeWorkloads, storedResults } from '../../bench/stored-results.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'varve-bench-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** What a browser would fetch, or run, of a page; names of XML's namespaces are neither. */
function outside(html: string): string[] {
  const own = html.replaceAll(/ xmlns(:xlink)?="http:\/\/www\.w3\.org\/[^"]*"/g, '')
  const found = own.match(
    /https?:|\/\/[a-z]|<(script|link|img|iframe|object|embed|base)\b|@import|\b(src|srcset|data)=|url\((?!#)|href="(?!#)/gi,
  )
  return [...(found ?? [])]
}

const chart: Chart = {
  title: 'group <few>',
  subtitle: 'events & categories',
  axis: 'rows a second (more is better)',
  bars: [
    { label: 'varve', value: 4e6, text: '4.00 M', isOurs: true },
    { label: 'duckdb csv', value: 2e6, text: '2.00 M', isOurs: false },
  ],
  target: 3e6,
}

describe('the page', () => {
  test('has a chart with all bars and the target, and the table', async () => {
    const targets = { head: ['workload', 'met'], rows: [['group', 'no']] }
    const html = await pageHtml('Results', [{ title: 'Jobs', note: 'a machine', targets, charts: [chart] }])
    const [svg] = /<svg[\s\S]*<\/svg>/.exec(html) ?? ['']
    for (const part of ['varve', 'duckdb csv', '4.00 M', '2.00 M', 'rows a second', 'stroke-dasharray']) expect(svg).toContain(part)
    for (const part of ['group &lt;few&gt;', 'events &amp; categories', '<td class="no">no</td>', 'a machine']) expect(html).toContain(part)
    expect(outside(html)).toEqual([])
  })

  test('something from outside would be found', () => {
    for (const part of [
      '<script>',
      '<link rel="x">',
      '<img src="a.png">',
      '<a href="https://a.b">',
      'a { background: url(//a.b) }',
      '@import "a"',
    ]) {
      expect(outside(`<html>${part}</html>`)).not.toEqual([])
    }
    expect(outside('<svg xmlns="http://www.w3.org/2000/svg"><g clip-path="url(#clip0)"><use href="#a"/></g></svg>')).toEqual([])
  })

  test('is written from what the repository has stored, an area without results left out', async () => {
    const [area] = areas.filter(({ name }) => name === 'store')
    if (area === undefined) throw new Error('no area of stores')
    const stored = storedResults<{ readonly workloads: readonly unknown[] }>(join('bench', area.resultsFile))
    const path = join(folder, area.resultsFile)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, JSON.stringify({ ...stored, workloads: stored?.workloads.slice(0, 2) }))
    await writeOverview(folder)
    const html = readFileSync(join(folder, 'RESULTS.html'), 'utf8')
    expect(html.match(/<svg/g)).toHaveLength(2)
    expect(outside(html)).toEqual([])
    const text = readFileSync(join(folder, 'RESULTS.md'), 'utf8')
    for (const part of ['## Stores', '(STORE.md)', '| workload | target | measured | met |']) expect(text).toContain(part)
    expect(text).not.toContain('## Jobs')
  })
})

describe('running areas', () => {
  const machine = { cpu: 'Example CPU', cpuCount: 2, memoryBytes: 2 ** 34, system: 'linux 6', fileSystem: 'ext4', node: 'v20.19.0' }
  const table = { head: ['workload'], rows: [['a']] }
  const area = (name: string, run: Area['run']): Area => ({
    name,
    title: name,
    markdownFile: `${name}.md`,
    resultsFile: `${name}/results.json`,
    countRuns: () => 2,
    run,
    markdown: ({ date }) => `# ${name} of ${date}`,
    terminal: ({ date }) => `${name} of ${date}`,
    overview: () => table,
    targets: () => table,
    charts: () => [],
  })

  test('one that fails does not keep the others from being run and stored', async () => {
    const progress: [string, number][] = []
    const good = area('good', async (_, onProgress) => {
      onProgress('round 1', 1)
      return { results: { machine, date: '2026-01-01' }, failures: ['a, round 1: broken'] }
    })
    const bad = area('bad', () => Promise.reject(new Error('no disk')))
    const { reports, failures } = await runAreas([bad, good], { isShort: true, dir: folder }, folder, (what, done) =>
      progress.push([what, done]),
    )
    expect(failures).toEqual(['bad: no disk', 'good: a, round 1: broken'])
    expect(reports).toEqual(['good of 2026-01-01'])
    expect(progress).toEqual([['good, round 1', 3]])
    expect(readFileSync(join(folder, 'good.md'), 'utf8')).toBe('# good of 2026-01-01')
    expect(storedResults(join(folder, 'good/results.json'))).toEqual({ machine, date: '2026-01-01' })
  })
})

describe('options and stored results', () => {
  test('areas have names of their own and say how many runs they are', () => {
    expect(areas.map(({ name }) => name)).toEqual(['logs', 'store', 'jobs'])
    for (const area of areas) {
      const runs = (isShort: boolean, rounds?: number): number => area.countRuns({ isShort, rounds, dir: folder })
      expect(runs(true)).toBe(runs(false, 1))
      expect(runs(false)).toBeGreaterThan(runs(true))
    }
  })

  test('what just ran takes the place of what is stored, in order; another machine is refused', () => {
    const named = (name: string, n: number): { name: string; n: number } => ({ name, n })
    expect(
      mergeWorkloads([named('a', 1), named('c', 1)], [named('b', 2), named('c', 2)], [named('c', 0), named('b', 0), named('a', 0)]),
    ).toEqual([named('c', 2), named('b', 2), named('a', 1)])
    expect(() => checkAlike('results.json', { machine: 'a', size: 1 }, { machine: 'b', size: 1 }, 'size', 'machine')).toThrow(
      /machine differ/,
    )
    expect(storedResults(join(folder, 'none.json'))).toBe(undefined)
  })
})

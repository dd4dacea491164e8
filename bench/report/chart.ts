/** Bar charts as SVG, drawn by Vega-Lite when the page is written: the page needs no library and no network. */
import type { TopLevelSpec } from 'vega-lite'

export interface Chart {
  readonly title: string
  readonly subtitle: string
  /** What the numbers are, with whether more or less is better. */
  readonly axis: string
  readonly bars: readonly Bar[]
  /** What Varve is held to, on the same axis. */
  readonly target?: number | undefined
}

export interface Bar {
  readonly label: string
  readonly value: number
  /** As people read it. */
  readonly text: string
  /** Varve, in one of its forms. */
  readonly isOurs: boolean
}

type LayerUnit = Extract<TopLevelSpec, { readonly layer: unknown }>['layer'][number]

/** 2000000 as 2 M. */
const ticks = "datum.value >= 1e6 ? datum.value / 1e6 + ' M' : datum.value >= 1e3 ? datum.value / 1e3 + ' k' : datum.value"

const [ours, peers, held] = ['#1f6f8b', '#b8bec6', '#c2410c']

export async function chartSvg(chart: Chart): Promise<string> {
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')])
  const view = new vega.View(vega.parse(compile(specOf(chart)).spec), { renderer: 'none' })
  try {
    return await view.toSVG()
  } finally {
    view.finalize()
  }
}

function specOf({ axis, bars, target }: Chart): TopLevelSpec {
  const most = Math.max(target ?? 0, ...bars.map(({ value }) => value)) * 1.25
  const y = { field: 'label', type: 'nominal', sort: null, axis: { title: null, labelLimit: 220, ticks: false, domain: false } } as const
  return {
    data: { values: bars.map(bar => ({ ...bar })) },
    width: 300,
    height: { step: 20 },
    background: 'transparent',
    layer: [
      {
        mark: { type: 'bar', height: 13 },
        encoding: {
          y,
          x: { field: 'value', type: 'quantitative', scale: { domain: [0, most] }, axis: { title: axis, tickCount: 4, labelExpr: ticks } },
          color: { condition: { test: 'datum.isOurs', value: ours }, value: peers },
        },
      },
      {
        mark: { type: 'text', align: 'left', dx: 4 },
        encoding: { y, x: { field: 'value', type: 'quantitative' }, text: { field: 'text' } },
      },
      ...(target === undefined ? [] : [ruleAt(target)]),
    ],
    config: { font: 'sans-serif', view: { stroke: null }, axis: { grid: false } },
  }
}

function ruleAt(target: number): LayerUnit {
  return {
    data: { values: [{ target }] },
    mark: { type: 'rule', color: held, strokeDash: [4, 3], strokeWidth: 1.5 },
    encoding: { x: { field: 'target', type: 'quantitative' } },
  }
}

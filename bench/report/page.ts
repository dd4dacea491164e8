/** One HTML page of all areas: a table of targets and the charts of each. It refers to nothing outside itself. */
import { type Chart, chartSvg } from './chart.ts'
import type { TextTable } from './tables.ts'

export interface Section {
  readonly title: string
  /** Machine and date. */
  readonly note: string
  readonly targets: TextTable
  readonly charts: readonly Chart[]
}

const style = `
  body { font: 15px/1.5 system-ui, sans-serif; color: #1c2024; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
  h1 { font-size: 1.6rem } h2 { margin-top: 2.5rem; border-bottom: 1px solid #d8dce0 } h3 { margin: 0; font-size: 1rem }
  p { margin: .3rem 0 } .note { color: #5a636c; font-size: .85rem }
  .charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(500px, 1fr)); gap: 1.5rem }
  figure { margin: 0 } figure svg { max-width: 100%; height: auto }
  table { border-collapse: collapse; font-size: .85rem; margin: 1rem 0 } th, td { text-align: left; padding: .15rem .7rem .15rem 0; border-bottom: 1px solid #eceef0 }
  .yes { color: #1a7f37 } .no { color: #c2410c }
`

export async function pageHtml(title: string, sections: readonly Section[]): Promise<string> {
  const body: string[] = []
  for (const { title: heading, note, targets, charts } of sections) {
    const figures: string[] = []
    for (const chart of charts) figures.push(await figureHtml(chart))
    body.push(
      `<section><h2>${escaped(heading)}</h2><p class="note">${escaped(note)}</p>`,
      `<div class="charts">${figures.join('\n')}</div>`,
      `<h3>Targets</h3>${tableHtml(targets)}</section>`,
    )
  }
  return [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title><style>${style}</style></head>`,
    `<body><h1>${escaped(title)}</h1>`,
    '<p>Blue is Varve, grey the others; a dashed line is what Varve is held to. Absolute numbers belong to the machine that is named: compare ratios.</p>',
    ...body,
    '</body></html>',
    '',
  ].join('\n')
}

async function figureHtml(chart: Chart): Promise<string> {
  return `<figure><h3>${escaped(chart.title)}</h3><p class="note">${escaped(chart.subtitle)}</p>${await chartSvg(chart)}</figure>`
}

function tableHtml({ head, rows }: TextTable): string {
  const cell = (text: string): string => `<td${text === 'yes' || text === 'no' ? ` class="${text}"` : ''}>${escaped(text)}</td>`
  const body = rows.map(cells => `<tr>${cells.map(cell).join('')}</tr>`).join('\n')
  return `<table><thead><tr>${head.map(text => `<th>${escaped(text)}</th>`).join('')}</tr></thead><tbody>${body}</tbody></table>`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

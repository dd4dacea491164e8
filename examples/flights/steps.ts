/** Runs the steps of a job one after the other, each with a progress bar, and prints a closing table of what they did. */

import cliProgress from 'cli-progress'
import Table from 'cli-table3'

export interface Done {
  readonly records: number
  readonly bytes: number
  /** When only a part of the step's time counts (another part is a step of its own). */
  readonly seconds?: number
}

export class Steps {
  readonly #rows: { readonly name: string; readonly seconds: number; readonly records: number; readonly bytes: number }[] = []

  /** `total` is what `advance` counts up to. */
  async run(name: string, total: number, body: (advance: (by: number) => void) => Promise<Done>): Promise<void> {
    const bar = new cliProgress.SingleBar(
      { format: `{bar} {percentage} %  ${name}`, clearOnComplete: true, hideCursor: true },
      cliProgress.Presets.shades_classic,
    )
    let value = 0
    bar.start(total, 0)
    const start = performance.now()
    try {
      const { records, bytes, seconds = (performance.now() - start) / 1000 } = await body(by => bar.update((value += by)))
      this.add(name, seconds, records, bytes)
    } finally {
      bar.stop()
    }
  }

  /** A step without records or a bar. */
  async time(name: string, body: () => Promise<unknown>): Promise<void> {
    const start = performance.now()
    await body()
    this.add(name, (performance.now() - start) / 1000, 0, 0)
  }

  /** A row for something that was timed elsewhere. */
  add(name: string, seconds: number, records: number, bytes: number): void {
    this.#rows.push({ name, seconds, records, bytes })
  }

  table(): string {
    const table = new Table({
      head: ['step', 'records', 'seconds', 'records/s', 'bytes'],
      colAligns: ['left', 'right', 'right', 'right', 'right'],
      style: { head: [], border: [], compact: true },
    })
    for (const { name, seconds, records, bytes } of this.#rows) {
      const rate = records === 0 ? '' : grouped(records / Math.max(seconds, 1e-6))
      table.push([name, records === 0 ? '' : grouped(records), seconds.toFixed(3), rate, bytes === 0 ? '' : grouped(bytes)])
    }
    return table.toString()
  }
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

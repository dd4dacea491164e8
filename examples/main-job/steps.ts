/** Runs the steps of a job one after the other, each with a progress bar and a line about what it found, and prints a closing table of what they did. */

import cliProgress from 'cli-progress'
import Table from 'cli-table3'

export interface Done {
  readonly records: number
  readonly bytes: number
  /** When only a part of the step's time counts (another part is a step of its own). */
  readonly seconds?: number
  /** Printed when the step is done. */
  readonly finding: string
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
    let done: Done
    try {
      done = await body(by => bar.update((value += by)))
    } finally {
      bar.stop()
    }
    const { records, bytes, seconds = (performance.now() - start) / 1000, finding } = done
    this.add(name, seconds, records, bytes)
    console.log(`${name}: ${finding}`)
  }

  /** A step without records or a bar. */
  async time(name: string, body: () => Promise<string>): Promise<void> {
    const start = performance.now()
    const finding = await body()
    this.add(name, (performance.now() - start) / 1000, 0, 0)
    console.log(`${name}: ${finding}`)
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

/** 1,234,567 */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

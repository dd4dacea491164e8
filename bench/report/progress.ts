/** The progress bar of a run. */
import cliProgress from 'cli-progress'

export interface Progress {
  /** `done` runs of the total are done, `label` begins. */
  update(done: number, label: string): void
  stop(): void
}

/** Draws on stderr, so that stdout can be piped; draws nothing where stderr is no terminal. */
export function startProgress(total: number): Progress {
  const bar = new cliProgress.SingleBar(
    { format: '{bar} {value}/{total} runs, {duration_formatted}  {label}', clearOnComplete: true, hideCursor: true },
    cliProgress.Presets.shades_classic,
  )
  bar.start(total, 0, { label: '' })
  return {
    update: (done, label) => bar.update(done, { label }),
    stop: () => bar.stop(),
  }
}

/** The progress of a run, on stderr, so that stdout can be piped: a bar, or a line for each step where stderr is no terminal. */
import cliProgress from 'cli-progress'

export interface Progress {
  /** `done` runs of the total are done, `label` begins. */
  update(done: number, label: string): void
  stop(): void
}

export function startProgress(total: number): Progress {
  if (!process.stderr.isTTY) {
    return { update: (done, label) => process.stderr.write(`${done}/${total} ${label}\n`), stop: () => undefined }
  }
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

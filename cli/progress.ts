/**
 * The progress bar: on stderr, on a terminal only, and only for work that takes longer than a second. Ctrl-C ends the work at its next step.
 */
import { type Options, Presets, SingleBar } from 'cli-progress'
import { formatBytes } from './output.ts'

const delayMs = 1000

export interface ProgressBar {
  update(done: number, total: number, what: string): void
  stop(): void
}

const silent: ProgressBar = { update: () => undefined, stop: () => undefined }

export function createProgressBar(options: { readonly json: boolean; readonly bytes: boolean }): ProgressBar {
  if (!process.stderr.isTTY || options.json) return silent
  const format: Options = {
    format: '{bar} {percentage}%  {done} of {all}  {what}',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
  }
  const bar = new SingleBar(format, Presets.shades_classic)
  const begun = Date.now()
  const show = (value: number): string => (options.bytes ? formatBytes(value) : String(value))
  let shown = false
  return {
    update: (done, total, what) => {
      if (!shown && Date.now() - begun < delayMs) return
      const payload = { done: show(done), all: show(total), what: what.split('/').at(-1) ?? what }
      if (shown) bar.update(done, payload)
      else bar.start(total, done, payload)
      shown = true
    },
    stop: () => {
      if (shown) bar.stop()
    },
  }
}

/** Runs work with a bar and a signal that Ctrl-C raises; a second Ctrl-C ends the process. */
export async function withProgress<T>(
  options: { readonly json: boolean; readonly bytes: boolean },
  work: (bar: ProgressBar, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const bar = createProgressBar(options)
  const controller = new AbortController()
  const interrupt = (): void => {
    const reason = new Error('interrupted')
    reason.name = 'AbortError'
    controller.abort(reason)
    process.removeListener('SIGINT', interrupt)
  }
  process.on('SIGINT', interrupt)
  try {
    return await work(bar, controller.signal)
  } finally {
    process.removeListener('SIGINT', interrupt)
    bar.stop()
  }
}

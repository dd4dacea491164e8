/**
 * Real timers. `after` keeps the process alive only when it is told to; `soon` does, because what it starts is work that somebody waits for.
 *
 * `setTimeout` fires at once for delays above 2^31 - 1 ms, so longer ones are waited for in pieces.
 */
import { assert } from '../../errors.ts'
import type { Timers } from '../environment.ts'

const delayMsMax = 0x7fff_ffff

/** The process's timers. */
export const nodeTimers: Timers = {
  after(delayMs: number, run: () => void, keepsAlive: boolean = false): () => void {
    assert(delayMs >= 0, 'a timer needs a delay of 0 ms or more', delayMs)
    let timer: NodeJS.Timeout
    const start = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, delayMsMax)
      timer = setTimeout(() => (leftMs > stepMs ? start(leftMs - stepMs) : run()), stepMs)
      if (!keepsAlive) timer.unref()
    }
    start(delayMs)
    return () => clearTimeout(timer)
  },
  soon(run: () => void): void {
    setImmediate(run)
  },
}

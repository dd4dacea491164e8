/** The real clock. One per process is enough; it holds no state. */
import type { Clock } from '../environment.ts'

export const nodeClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

/** The real clock. One per process is enough; it holds no state. */
import type { Clock } from '../environment.ts'

/** The system's clocks. */
export const nodeClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
}

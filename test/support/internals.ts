/**
 * The one way from a log as users see it to the engine's class, for tests that look at parts, tail and the like. Tests of behaviour do without.
 */
import type { LocalLog } from '../../engine/log/log.ts'
import { LogicalLog } from '../../engine/log/logical-log.ts'

export function internals(log: LocalLog): LogicalLog {
  if (!(log instanceof LogicalLog)) throw new TypeError('log must be a log of an engine that this process opened')
  return log
}

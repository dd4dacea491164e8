/** Ranges in a lease: as those of the store, of the lease's moment. */
import { checkObject } from '../log/check-arguments.ts'
import { checkRange } from './store-options.ts'
import type { ViewRangeOptions } from './store-view.ts'

/** TypeError, RangeError as `checkRange`; TypeError for a snapshot. */
export function checkLeasedRange(range: ViewRangeOptions<unknown>): void {
  checkObject(range, 'options')
  if ('snapshot' in range) throw new TypeError('snapshot has no meaning in a lease, which is of one moment')
  checkRange(range)
}

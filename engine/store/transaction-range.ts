/** Arguments of verbs within a transaction: as those of the store, without what belongs to the transaction. */
import type { StoreKey } from './key-codec.ts'
import { checkRange, type PutOptions, type RangeOptions } from './store-options.ts'

/** As `RangeOptions`, of the transaction's moment. */
export type TransactionRangeOptions<K = StoreKey> = Omit<RangeOptions<K>, 'snapshot'>
/** As `PutOptions`; the durability is the transaction's. */
export type TransactionPutOptions = Omit<PutOptions, 'durability'>

/** TypeError, RangeError as `checkRange`; TypeError for a snapshot. */
export function checkTransactionRange(range: TransactionRangeOptions<unknown>): void {
  checkRange(range)
  if ((range as RangeOptions<unknown>).snapshot !== undefined)
    throw new TypeError('snapshot has no meaning in a transaction, which reads one moment of its own')
}

/** How a store's keys and values are encoded, for readers of raw entries above the engine (jobs). */
import type { KeyCodec, StoreKey } from './key-codec.ts'
import { coreOf, type Store } from './store.ts'
import type { ValueCodec } from './value-codec.ts'

/** A store's codecs. */
export interface StoreCodecs {
  /** How keys become bytes. */
  readonly keys: KeyCodec
  /** How values become bytes. */
  readonly values: ValueCodec<unknown>
}

/** Throws what every verb of the store would throw: CLOSED, NOT_FOUND, DEFINITION_MISMATCH. */
export function codecsOf<V, K extends StoreKey>(store: Store<V, K>): StoreCodecs {
  store.stats()
  const { keys, values } = coreOf(store)
  return { keys, values }
}

/** What a flow may begin with, and which source it is. */
import { Store, StoreView } from '../../engine/index.ts'
import { Topic } from '../../stream/index.ts'
import { IterableSource } from '../source/iterable-source.ts'
import type { Source } from '../source/source.ts'
import { storeSource } from '../source/store-source.ts'
import { topicSource } from '../source/topic-source.ts'

/** A source with the type of its rows; made by the functions of `varve/compute`. */
export interface TypedSource<T> extends Source {
  /** Only for the compiler. */
  readonly rowType?: T
}

/** TypeError for what is no input. */
export function sourceOf(input: unknown): Source {
  if (input instanceof Store || input instanceof StoreView) return storeSource(input)
  if (input instanceof Topic) return topicSource(input)
  if (typeof input === 'object' && input !== null) {
    if ('kind' in input && 'split' in input && typeof input.split === 'function') return input as Source
    if (Symbol.iterator in input || Symbol.asyncIterator in input) return new IterableSource(input as Iterable<unknown>)
  }
  throw new TypeError(`input must be a store, a topic, a source or an iterable, got ${String(input)}`)
}

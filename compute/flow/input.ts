/** What a flow may begin with, and which source it is. */

import { checkOptions, Store, StoreView } from '../../engine/index.ts'
import { Topic } from '../../stream/index.ts'
import type { PlanNode } from '../plan/node.ts'
import { IterableSource } from '../source/iterable-source.ts'
import type { Source } from '../source/source.ts'
import { allTimes, type SourceRange } from '../source/source-range.ts'
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

/** Which records of a topic a flow takes. */
export interface TopicInputOptions {
  /** Those with this timestamp or a later one; a date, or ms since 1970. Default: from the first on. */
  readonly from?: Date | number | undefined
  /** Those with earlier timestamps. Default: up to the last. */
  readonly to?: Date | number | undefined
}

/** Where a plan begins. TypeError or RangeError naming the option that is unusable. */
export function sourceNode(source: Source, options: TopicInputOptions = {}): PlanNode {
  const range = rangeOf(source.kind, options)
  return { op: 'source', source, ...(range === undefined ? {} : { range }) }
}

function rangeOf(kind: string, options: TopicInputOptions): SourceRange | undefined {
  checkOptions(options, 'an input', ['from', 'to'])
  const { from, to } = options
  if (from === undefined && to === undefined) return undefined
  if (kind !== 'topic') throw new TypeError('from and to are options of topics')
  const time = {
    from: from === undefined ? allTimes.from : Math.ceil(timeOf(from, 'from')),
    to: to === undefined ? allTimes.to : Math.ceil(timeOf(to, 'to')),
  }
  return { time }
}

function timeOf(value: unknown, option: string): number {
  const ms = value instanceof Date ? value.getTime() : value
  if (typeof ms !== 'number') throw new TypeError(`${option} must be a date or a number of ms, got ${String(value)}`)
  if (!Number.isFinite(ms)) throw new RangeError(`${option} must be a date or a number of ms, got ${String(value)}`)
  return ms
}

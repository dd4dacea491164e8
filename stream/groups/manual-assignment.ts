/**
 * Partitions that a consumer has taken by itself, without being a member of its group: Kafka's `assign`. It has the face of a `Membership` whose group never
 * wants anything; commits go as those of nobody, which the coordinator takes only while the group has no members.
 */
import type { Membership } from './membership.ts'
import { noPartitions, type TopicPartitions, withoutPartitions } from './partitions.ts'

/** What a consumer asks of whoever says which partitions it has. */
export type Assignment = Pick<
  Membership,
  | 'memberId'
  | 'generation'
  | 'failure'
  | 'isPending'
  | 'toStop'
  | 'toStart'
  | 'topicIds'
  | 'start'
  | 'started'
  | 'stopped'
  | 'polled'
  | 'subscribe'
  | 'leave'
>

export class ManualAssignment implements Assignment {
  readonly memberId: undefined
  readonly generation = -1
  readonly failure: undefined
  readonly toStop: TopicPartitions = noPartitions
  readonly topicIds: ReadonlyMap<string, number> = new Map()
  #toStart: TopicPartitions

  constructor(partitions: TopicPartitions) {
    this.#toStart = partitions
  }

  get toStart(): TopicPartitions {
    return this.#toStart
  }
  get isPending(): boolean {
    return this.#toStart.size > 0
  }

  /** What is missing is not looked for again. */
  started(partitions: TopicPartitions, _topicIds: ReadonlyMap<string, number>, missing: TopicPartitions): void {
    this.#toStart = withoutPartitions(withoutPartitions(this.#toStart, partitions), missing)
  }

  subscribe(): void {
    throw new TypeError('a consumer with partitions of its own does not subscribe: make another one')
  }

  // Nobody is told.
  start(): void {}
  stopped(): void {}
  polled(): void {}
  leave(): Promise<void> {
    return Promise.resolve()
  }
}

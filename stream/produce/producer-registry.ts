/**
 * The producers of a database that have identities: who hands out producer ids, who holds which name, and how far the named ones have come.
 *
 * One for the database, made at the first use. Kept in the compacted internal topic `__producer_state`, JSON by key:
 *
 *   ids                                {"next": producer id}             ids below it may have been given out
 *   name/<name>                        {"id", "epoch", "at": ms}         a named producer
 *   last/<topic id>/<partition>/<name> {"sequence", "offset"}            its newest record there, written in the commit of the record itself
 *
 * A topic's id, not its name, is in the key: a renamed topic keeps its sequences, and one with the name of a deleted one begins without any.
 */
import { type Commit, type ProducerIdentity, producerChannel, VarveError } from '../../engine/index.ts'
import type { StreamHost } from '../host.ts'
import type { InternalChange, InternalTopic } from '../internal/internal-topic.ts'

/** Name of the internal topic. */
export const producerStateTopic = '__producer_state'
/** Ids taken by one record. */
const idBlock = 100
/** Epochs are 16 bits; the last is never used, so that a marker can always be one above its batches. */
export const producerEpochMax: number = 0x7ffe

/** Producer id and epoch. */
export type ProducerEpoch = Omit<ProducerIdentity, 'sequence'>

/** A value of the topic; which fields there are depends on the key. */
export interface ProducerRow {
  readonly next?: number
  readonly id?: number
  readonly epoch?: number
  readonly at?: number
  readonly sequence?: number
  readonly offset?: number
}

/** A named producer's newest record of a partition. */
export interface LastSent {
  readonly sequence: number
  readonly offset: number
}

/** Who holds a name, in this process. */
export interface NamedProducer {
  readonly name: string
  readonly id: number
  readonly epoch: number
}

export class ProducerRegistry {
  readonly #host: StreamHost
  readonly #state: InternalTopic<ProducerRow>
  readonly #holders = new Map<string, NamedProducer>()
  #nextId = 0
  /** Ids below it are taken in the log. */
  #idLimit = 0

  constructor(host: StreamHost, state: InternalTopic<ProducerRow>) {
    this.#host = host
    this.#state = state
  }

  /** An id that no producer had before, in this turn. BUSY, POISONED and the like are thrown. */
  newId(): number {
    if (this.#nextId === this.#idLimit) {
      const first = this.#state.get('ids')?.next ?? 0
      void this.#state.commit([{ key: 'ids', value: { next: first + idBlock } }])
      this.#nextId = first
      this.#idLimit = first + idBlock
    }
    return this.#nextId++
  }

  /** Takes a name over: whoever held it is fenced from now on. The next epoch, in this turn; BUSY, POISONED and the like are thrown. */
  open(name: string): NamedProducer {
    const key = `name/${name}`
    const known = this.#state.get(key)
    const goesOn = known !== undefined && (known.epoch as number) < producerEpochMax
    const id = goesOn ? (known.id as number) : this.newId()
    const epoch = goesOn ? (known.epoch as number) + 1 : 0
    void this.#state.commit([{ key, value: { id, epoch, at: this.#host.environment.clock.now() } }])
    const before = this.#holders.get(name)
    if (before !== undefined && producerChannel.hasSubscribers)
      producerChannel.publish({ database: this.#host.path, type: 'fenced', id: name, producerId: before.id, epoch: before.epoch })
    const holder: NamedProducer = { name, id, epoch }
    this.#holders.set(name, holder)
    return holder
  }

  /** The producer was closed: nobody holds the name. */
  release(holder: NamedProducer): void {
    if (this.#holders.get(holder.name) === holder) this.#holders.delete(holder.name)
  }

  /** PRODUCER_FENCED unless it holds its name. */
  assertHolds(holder: NamedProducer): void {
    const current = this.#holders.get(holder.name)
    if (current !== undefined && current !== holder) throw producerFenced(holder.name, current.epoch, holder.epoch, 'replaced')
  }

  /** A named producer's newest record of a partition. */
  last(name: string, topicId: number, partition: number): LastSent | undefined {
    return this.#state.get(lastKey(name, topicId, partition)) as LastSent | undefined
  }

  /** The largest sequence among a named producer's newest records of a topic's partitions. */
  lastOfTopic(name: string, topicId: number, partitionCount: number): number | undefined {
    let last: number | undefined
    for (let partition = 0; partition < partitionCount; partition++) {
      const sequence = this.last(name, topicId, partition)?.sequence
      if (sequence !== undefined && (last === undefined || sequence > last)) last = sequence
    }
    return last
  }

  /** Adds rows to the commit of the records that they speak of; `apply` when it was made. */
  writeLast(commit: Commit, rows: readonly InternalChange<ProducerRow>[]): void {
    this.#state.write(commit, rows)
  }
  apply(rows: readonly InternalChange<ProducerRow>[]): void {
    this.#state.apply(rows)
  }

  /** A topic was deleted: so are the sequences of it. */
  forgetTopic(topicId: number): Promise<void> {
    return this.#state.forgetTopic(topicId)
  }

  /** Forgets a name with its sequences, and fences who holds it. NOT_FOUND. Resolves when durable. */
  async forgetName(name: string): Promise<void> {
    if (this.#state.get(`name/${name}`) === undefined)
      throw new VarveError('NOT_FOUND', `no producer is named ${name}`, { details: { id: name } })
    const holder = this.#holders.get(name)
    // Whoever holds it must not go on with sequences that are not known any more.
    if (holder !== undefined) this.#holders.set(name, { ...holder, epoch: holder.epoch + 1 })
    await this.#state.forget(key => key === `name/${name}` || (key.startsWith('last/') && nameOfLastKey(key) === name))
  }

  /** Names of all named producers, sorted. */
  names(): string[] {
    return [...this.#state.entries()]
      .filter(([key]) => key.startsWith('name/'))
      .map(([key]) => key.slice('name/'.length))
      .sort()
  }
}

/** Key of a named producer's newest record of a partition. */
export function lastKey(name: string, topicId: number, partition: number): string {
  return `last/${topicId}/${partition}/${name}`
}

/** The topic that a row speaks of. */
export function topicIdOfProducerKey(key: string): number | undefined {
  return key.startsWith('last/') ? Number(key.split('/', 2)[1]) : undefined
}

function nameOfLastKey(key: string): string {
  return key.split('/').slice(3).join('/')
}

export function producerFenced(id: string, expected: number, actual: number, reason: 'replaced' | 'timeout'): VarveError {
  const why = reason === 'timeout' ? 'its transaction took too long and was aborted' : 'it was opened again'
  return new VarveError('PRODUCER_FENCED', `producer ${id}: ${why}`, { details: { id, expected, actual, reason } })
}

/**
 * One replica of a log: Raft's roles and terms over `Log`. It decides in `receive`, `propose` and its timers, all synchronous; the disk answers by
 * promises, and no message leaves before the ballot it stands on is durable.
 *
 * Invariants: a term has at most one leader; what lies below the high watermark is on a majority's disks and is never truncated.
 */
import type { Environment, SimRandom } from '../../../engine/env/index.ts'
import type { Appended, AppendOptions, Committer, LocalLog, ReadBound, StoreRecord, TopicRecord } from '../../../engine/log/log.ts'
import { type Ballot, readBallot, writeBallot } from './ballot.ts'
import { storeBatches } from './follower.ts'
import { Leadership } from './leader.ts'
import type { AppendRequest, Message, VoteRequest } from './messages.ts'

const heartbeatMs = 40
const electionMs: readonly [least: number, spread: number] = [150, 200]

export interface ReplicaOptions {
  readonly id: number
  readonly peers: readonly number[]
  readonly environment: Environment
  readonly random: SimRandom
  readonly committer: Committer
  readonly log: LocalLog
  /** How far the leader reads for its followers. */
  readonly bound: ReadBound
  readonly bytesMax: number
  /** Followers wait for the disk with `waitFor` instead of the append's own promise. */
  readonly waitsByBound: boolean
  /** The first record of a leader. */
  readonly opening: readonly TopicRecord[] | readonly StoreRecord[]
  send(to: number, message: Message): void
  /** Runs what timers and promises bring, and deals with what it throws. */
  guard(run: () => void): void
  trace(line: string): void
  /** For judges: this replica leads the term. */
  elected(term: number): void
}

export interface Proposal {
  readonly baseOffset: number
  readonly committed: Promise<void>
}

export class Replica {
  readonly #options: ReplicaOptions
  readonly #log: LocalLog
  #ballot: Ballot
  /** Resolves when the newest ballot is durable. */
  #sealed: Promise<void> = Promise.resolve()
  #votes = new Set<number>()
  #leadership: Leadership | undefined
  #cancelElection: () => void = () => undefined
  /** Of the current term: all below agrees with its leader's log, and how far that leader has released. */
  #agreedEnd = 0
  #releasedEnd = 0
  #stopped = false

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.#log = options.log
    this.#ballot = readBallot(options.log.metadata)
    this.#awaitLeader()
  }

  get term(): number {
    return this.#ballot.term
  }

  get isLeader(): boolean {
    return this.#leadership !== undefined
  }

  /** The machine under it is gone. */
  stop(): void {
    this.#stopped = true
    this.#follow()
    this.#cancelElection()
  }

  // --- elections ---------------------------------------------------------------------------------------------------------------------

  #awaitLeader(): void {
    this.#cancelElection()
    const [least, spread] = electionMs
    this.#after(least + this.#options.random.below(spread), () => this.#campaign())
  }

  #after(delayMs: number, run: () => void): void {
    const { environment, guard } = this.#options
    this.#cancelElection = environment.timers.after(delayMs, () => guard(run))
  }

  #campaign(): void {
    this.#awaitLeader()
    const { id, peers } = this.#options
    this.#cast({ term: this.term + 1, votedFor: id })
    this.#votes = new Set([id])
    this.#options.trace(`${id} campaigns t${this.term}`)
    const request: VoteRequest = { kind: 'vote-request', term: this.term, lastEpoch: this.#log.epoch, endOffset: this.#log.endOffset }
    for (const peer of peers) this.#say(peer, request)
  }

  /** Takes a ballot: on the way to the disk first, since a full disk or too much waiting may refuse it. */
  #cast(ballot: Ballot): void {
    const sealed = writeBallot(this.#log.metadata, ballot)
    sealed.catch(error => this.#fails(error)) // never durable: this process may say nothing any more
    this.#sealed = sealed
    if (ballot.term > this.#ballot.term) {
      this.#follow()
      this.#agreedEnd = 0
      this.#releasedEnd = 0
    }
    this.#ballot = ballot
  }

  /** The disk has failed: whoever runs the replica must end the process, since a silent replica keeps its log from moving. */
  #fails(error: unknown): void {
    if (this.#stopped) return
    this.#options.guard(() => {
      throw error
    })
  }

  #follow(): void {
    this.#votes.clear()
    if (this.#leadership === undefined) return
    this.#leadership.ended.abort()
    this.#leadership = undefined
    if (!this.#stopped) this.#awaitLeader()
  }

  /** Sends when the ballot of the message's term is on the disk. */
  #say(to: number, message: Message): void {
    this.#sealed.then(
      () => {
        if (!this.#stopped && message.term === this.term) this.#options.send(to, message)
      },
      () => undefined, // never durable, so never said
    )
  }

  receive(from: number, message: Message): void {
    if (message.term > this.term) this.#cast({ term: message.term, votedFor: undefined })
    if (message.kind === 'vote-request') this.#vote(from, message)
    else if (message.kind === 'append-request') this.#append(from, message)
    else if (message.term !== this.term) return
    else if (message.kind === 'vote-answer') this.#count(from, message.granted)
    else this.#replicate(this.#leadership?.answered(from, message) === true)
  }

  #vote(from: number, { term, lastEpoch, endOffset }: VoteRequest): void {
    const { epoch, endOffset: ownEnd } = this.#log
    const isNewEnough = lastEpoch > epoch || (lastEpoch === epoch && endOffset >= ownEnd)
    const isFree = this.#ballot.votedFor === undefined || this.#ballot.votedFor === from
    const granted = term === this.term && isFree && isNewEnough
    if (granted) {
      if (this.#ballot.votedFor === undefined) this.#cast({ term, votedFor: from })
      this.#awaitLeader()
    }
    this.#say(from, { kind: 'vote-answer', term: this.term, granted })
  }

  #count(from: number, granted: boolean): void {
    const { id, peers, opening, bound, bytesMax, trace, elected } = this.#options
    if (!granted || this.isLeader || this.#ballot.votedFor !== id) return
    this.#votes.add(from)
    if (this.#votes.size * 2 <= peers.length + 1) return
    const leadership = new Leadership(this.#log, this.term, peers, { bound, bytesMax })
    const first = this.#log.appendRecords(opening, { epoch: this.term, expectedOffset: this.#log.endOffset })
    this.#leadership = leadership
    elected(this.term)
    trace(`${id} leads t${this.term} from ${first.baseOffset}`)
    this.#watch(first)
    this.#beat(leadership)
  }

  // --- leading -----------------------------------------------------------------------------------------------------------------------

  #beat(leadership: Leadership): void {
    if (this.#leadership !== leadership) return
    this.#cancelElection()
    this.#after(heartbeatMs, () => this.#beat(leadership))
    leadership.advance()
    this.#replicate(true)
  }

  #replicate(beat: boolean): void {
    for (const peer of this.#options.peers) {
      const request = this.#leadership?.requestFor(peer, beat)
      if (request !== undefined) this.#say(peer, request)
    }
  }

  /** The leader's own disk counts as one of the majority. */
  #watch(appended: Appended): void {
    const leadership = this.#leadership
    const durable = (): void => {
      if (this.#leadership === leadership && leadership?.advance() === true) this.#replicate(true)
    }
    this.#whenDurable(appended, appended.endOffset, durable)
  }

  #whenDurable(appended: { readonly durable: Promise<void> }, endOffset: number, run: () => void): void {
    const { guard, waitsByBound } = this.#options
    const durable = waitsByBound ? this.#log.waitFor(endOffset - 1, { bound: 'durable' }) : appended.durable
    durable.then(
      () => {
        if (!this.#stopped) guard(run)
      },
      error => this.#fails(error),
    )
  }

  /**
   * Appends a command here, where a leader believes to be one. `committed` resolves when it is on a majority's disks; when it rejects the command may
   * have happened. undefined: not a leader.
   */
  propose(records: readonly TopicRecord[] | readonly StoreRecord[], options: AppendOptions = {}): Proposal | undefined {
    const leadership = this.#leadership
    if (leadership === undefined) return undefined
    const log = this.#log
    const appended = log.appendRecords(records, { ...options, epoch: leadership.term, expectedOffset: log.endOffset })
    const committed = log.waitFor(appended.endOffset - 1, { signal: leadership.ended.signal })
    this.#watch(appended)
    this.#replicate(false)
    return { baseOffset: appended.baseOffset, committed }
  }

  // --- following ---------------------------------------------------------------------------------------------------------------------

  #append(from: number, request: AppendRequest): void {
    const { id, trace, committer } = this.#options
    const log = this.#log
    if (request.term < this.term) {
      this.#say(from, { kind: 'append-answer', term: this.term, matchOffset: 0, conflict: undefined })
      return
    }
    this.#votes.clear()
    this.#awaitLeader()
    const stored = storeBatches(committer, log, request)
    if (stored === undefined) {
      const conflict = log.endOffsetForEpoch(request.previousEpoch) ?? null
      this.#say(from, { kind: 'append-answer', term: this.term, matchOffset: 0, conflict })
      return
    }
    if (stored.truncated > 0) trace(`${id} truncates ${stored.truncated} records`)
    this.#agreedEnd = Math.max(this.#agreedEnd, stored.agreedEnd)
    this.#releasedEnd = Math.max(this.#releasedEnd, request.highWatermark)
    this.#acknowledge(from)
    if (stored.appended === undefined) return
    const { term } = this
    this.#whenDurable(stored.appended, stored.agreedEnd, () => {
      if (this.term === term) this.#acknowledge(from)
    })
  }

  /** Tells the leader what is durable, and releases what it has released. */
  #acknowledge(leader: number): void {
    const log = this.#log
    const matchOffset = Math.min(this.#agreedEnd, log.durableOffset)
    const released = Math.min(this.#releasedEnd, matchOffset)
    if (released > log.highWatermark) log.advanceHighWatermark(released)
    this.#say(leader, { kind: 'append-answer', term: this.term, matchOffset, conflict: undefined })
  }
}

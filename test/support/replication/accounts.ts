/**
 * The replicated state: accounts with balances. A command adds to one account; `admit` refuses what would overdraw it, by what is applied here and
 * now, so a follower that lags would refuse what its leader admitted. Also the codec of commands for both kinds of logs.
 */
import { decodeRecords } from '../../../engine/batch/record-batch-codec.ts'
import { openStoreBatch } from '../../../engine/batch/store-batch.ts'
import { StoreRecordCursor } from '../../../engine/batch/store-record.ts'
import { batchEnd } from '../../../engine/log/batch-kinds.ts'
import type { LogKind, StateMachine, StoreRecord, TopicRecord } from '../../../engine/log/log.ts'

export interface Command {
  readonly account: string
  /** Unique over the run; 0 for a leader's opening record. */
  readonly id: number
  readonly delta: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** As records of one batch, padded to about `bytes` each. */
export function encodeCommands(kind: LogKind, commands: readonly Command[], bytes: number): TopicRecord[] | StoreRecord[] {
  const texts = commands.map(({ account, id, delta }) => ({
    key: encoder.encode(account),
    value: encoder.encode(`${id} ${delta} `.padEnd(bytes, '.')),
  }))
  return kind === 'topic' ? texts : texts.map(text => ({ kind: 'put', ...text }))
}

export function decodeCommands(kind: LogKind, bytes: Uint8Array, start: number, end: number): Command[] {
  const commands: Command[] = []
  const add = (key: Uint8Array | null, value: Uint8Array | null): void => {
    const [id = '0', delta = '0'] = decoder.decode(value ?? encoder.encode('')).split(' ')
    commands.push({ account: decoder.decode(key ?? encoder.encode('')), id: Number(id), delta: Number(delta) })
  }
  if (kind === 'topic') {
    for (const record of decodeRecords(bytes.slice(start, end), 0)) add(record.key, record.value)
    return commands
  }
  const cursor = new StoreRecordCursor()
  const copy = bytes.slice(start, end)
  openStoreBatch(cursor, copy, 0)
  while (cursor.next()) {
    const { keyStart, keyBytes, valueStart, valueBytes, buffer } = cursor
    add(buffer.slice(keyStart, keyStart + keyBytes), buffer.slice(valueStart, valueStart + valueBytes))
  }
  return commands
}

export class Accounts implements StateMachine {
  readonly #kind: LogKind
  readonly #observer: AccountsObserver | undefined
  readonly balances: Map<string, number> = new Map()
  /** Commands applied, and a running hash over them in order: two machines that agree in it applied the same. */
  count = 0
  digest = 0
  /** Offset after the last batch applied. */
  appliedEnd = 0
  refusals = 0

  constructor(kind: LogKind, observer?: AccountsObserver) {
    this.#kind = kind
    this.#observer = observer
  }

  admit(batch: Uint8Array): void {
    for (const { account, delta } of decodeCommands(this.#kind, batch, 0, batch.length)) {
      if (delta >= 0 || (this.balances.get(account) ?? 0) + delta >= 0) continue
      this.refusals++
      throw new Error(`account ${account} would be overdrawn`)
    }
  }

  apply(bytes: Uint8Array, start: number, end: number, baseOffset: number): void {
    if (baseOffset !== this.appliedEnd) throw new Error(`batch at ${baseOffset} applied after ${this.appliedEnd}`)
    const commands = decodeCommands(this.#kind, bytes, start, end)
    for (const { account, id, delta } of commands) {
      this.balances.set(account, (this.balances.get(account) ?? 0) + delta)
      this.digest = (Math.imul(this.digest, 0x01000193) ^ (id * 31 + delta)) >>> 0
      this.count++
    }
    this.appliedEnd = batchEnd(this.#kind, bytes, start)
    this.#observer?.applied(baseOffset, this.appliedEnd, commands, this.digest)
  }

  snapshot(): Uint8Array {
    const { count, digest, appliedEnd } = this
    return encoder.encode(JSON.stringify({ count, digest, appliedEnd, balances: [...this.balances] }))
  }

  restore(snapshot: Uint8Array | undefined, appliedOffset: number): void {
    if (snapshot === undefined) {
      if (appliedOffset !== 0) throw new Error(`no snapshot, but ${appliedOffset} is applied`)
      return
    }
    const { count, digest, appliedEnd, balances } = JSON.parse(decoder.decode(snapshot))
    if (appliedEnd !== appliedOffset) throw new Error(`snapshot of ${appliedEnd} restored as of ${appliedOffset}`)
    this.count = count
    this.digest = digest
    this.appliedEnd = appliedEnd
    for (const [account, balance] of balances) this.balances.set(account, balance)
    this.#observer?.restored(appliedOffset, digest)
  }

  describe(): string {
    return `${this.appliedEnd}: ${this.count} commands ${this.digest} ${JSON.stringify([...this.balances].sort())}`
  }
}

/** A judge that hears of everything a machine does. */
export interface AccountsObserver {
  applied(baseOffset: number, endOffset: number, commands: readonly Command[], digest: number): void
  restored(appliedOffset: number, digest: number): void
}

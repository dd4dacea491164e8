/**
 * Runs the state machine of a log: restores it, feeds it what the high watermark releases and the disk holds, in order, and takes its snapshots.
 *
 * Invariant: every batch below `appliedOffset` was applied once to this instance, none above it. A machine that throws from `apply` is no function of
 * its log any more; that poisons the database, since replicas would part.
 */
import { VarveError } from '../errors.ts'
import { batchBase, batchEnd, batchLength } from './batch-kinds.ts'
import type { LogSlice, StateMachine } from './log.ts'

export const snapshotSlot = 'state-machine'
const emptyState = new Uint8Array(0)
const snapshotBytesMax = 0xffff

/** What the runner needs of its log. */
export interface MachineLog {
  readonly name: string
  readonly startOffset: number
  readonly endOffset: number
  readonly durableOffset: number
  readonly highWatermark: number
  read(offset: number, options: { readonly bound: 'end' }): LogSlice
  snapshotBytes(): Uint8Array | undefined
  /** Poisons the database. */
  fail(error: VarveError): void
}

export class MachineRunner {
  readonly #log: MachineLog
  readonly machine: StateMachine
  #appliedOffset: number
  #applying = false

  /** Restores the machine. OFFSET_OUT_OF_RANGE when the log no longer has what its snapshot is followed by. */
  constructor(log: MachineLog, machine: StateMachine) {
    const stored = decodeSnapshot(log.snapshotBytes())
    const from = stored?.appliedOffset ?? 0
    const { startOffset, endOffset } = log
    if (from < startOffset) {
      throw new VarveError(
        'OFFSET_OUT_OF_RANGE',
        `log ${log.name}: its state machine stands at ${from}, the log begins at ${startOffset}`,
        {
          details: { log: log.name, startOffset, endOffset, actual: from },
        },
      )
    }
    machine.restore(stored?.state, from)
    this.#log = log
    this.machine = machine
    this.#appliedOffset = Math.max(from, startOffset)
  }

  /** Next offset that the machine will see. */
  get appliedOffset(): number {
    return this.#appliedOffset
  }

  /** The log was reset: the machine begins anew at `offset`, with whatever its owner installs. */
  reset(offset: number): void {
    this.#appliedOffset = offset
    this.machine.restore(emptyState, offset)
  }

  /** Applies what may be applied now. */
  apply(): void {
    if (this.#applying) return
    this.#applying = true
    try {
      this.#applyUpTo(Math.min(this.#log.highWatermark, this.#log.durableOffset))
    } catch (cause) {
      const message = `log ${this.#log.name}: its state machine failed at offset ${this.#appliedOffset}`
      this.#log.fail(new VarveError('INVARIANT', message, { cause, details: { log: this.#log.name, actual: this.#appliedOffset } }))
    } finally {
      this.#applying = false
    }
  }

  #applyUpTo(bound: number): void {
    while (this.#appliedOffset < bound) {
      const { kind, bytes, positions, nextOffset } = this.#log.read(this.#appliedOffset, { bound: 'end' })
      for (const position of positions) {
        const endOffset = batchEnd(kind, bytes, position)
        if (endOffset > bound) return
        if (endOffset > this.#appliedOffset) {
          this.machine.apply(bytes, position, position + batchLength(kind, bytes, position), batchBase(kind, bytes, position))
        }
        this.#appliedOffset = Math.max(this.#appliedOffset, endOffset)
      }
      if (nextOffset <= this.#appliedOffset && positions.length === 0) return
      // Across a gap that compaction left.
      this.#appliedOffset = Math.max(this.#appliedOffset, Math.min(nextOffset, bound))
    }
  }

  /** The state to store with a flush: slot and value for the log's metadata. */
  takeSnapshot(): { readonly slot: string; readonly value: Uint8Array } {
    return { slot: snapshotSlot, value: encodeSnapshot(this.#appliedOffset, this.machine.snapshot()) }
  }
}

/** What is stored for a log that was reset: an empty state at `offset`, so that nothing of before is restored. */
export function resetSnapshot(offset: number): Uint8Array {
  return encodeSnapshot(offset, emptyState)
}

function encodeSnapshot(appliedOffset: number, state: Uint8Array): Uint8Array {
  if (state.byteLength > snapshotBytesMax) {
    throw new VarveError('TOO_LARGE', `a state machine's snapshot has ${state.byteLength} bytes, the limit is ${snapshotBytesMax}`, {
      details: { limit: 'snapshot' },
    })
  }
  const bytes = new Uint8Array(8 + state.byteLength)
  new DataView(bytes.buffer).setFloat64(0, appliedOffset, true)
  bytes.set(state, 8)
  return bytes
}

function decodeSnapshot(bytes: Uint8Array | undefined): { readonly appliedOffset: number; readonly state: Uint8Array } | undefined {
  if (bytes === undefined || bytes.byteLength < 8) return undefined
  return { appliedOffset: new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true), state: bytes.subarray(8) }
}

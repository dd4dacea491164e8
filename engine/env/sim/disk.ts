/**
 * A simulated disk: one tree of files with exact rules for what survives (`file-state.ts`, `folder-state.ts`), injected faults, a
 * capacity, and crashes. It outlives environments: a crashed database's folder is opened again by a new environment over the same disk.
 *
 * An operation goes through: 1. issue: it is counted, is in flight, and hooks are called, before any effect; 2. fault rules are asked;
 * 3. completion: its effect, and the answer. Synchronous operations do all three at once, asynchronous ones complete as an event of the
 * scheduler. A hook may crash or copy the disk; the operation at hand is then in flight like the others.
 *
 * After `crash` or `processKill` everything that was mounted is dead: calls fail with EBADF, and asynchronous calls that were in flight
 * are never answered, as nobody is there to hear it.
 *
 * Invariants: `#mark` grows with each effect and orders them all; `#usedBytes` is the sum of the sizes of files with a name or a handle.
 */
import { assert } from '../../errors.ts'
import { type CrashOptions, CrashPlan, type CrashReport, describeChange } from './crash.ts'
import { type Fault, FaultList, type FaultRule, type FaultVerdict } from './faults.ts'
import { FileState, sectorBytes } from './file-state.ts'
import type { SimFiles } from './files.ts'
import { type DiskOperation, defaultLatencies, isMutating, type Latencies, type PreparedOperation, systemError } from './operation.ts'
import { SimRandom } from './random.ts'
import { DiskTree } from './tree.ts'

export interface SimDiskOptions {
  /** Default 1. */
  readonly seed?: number
  /** Sum of all file sizes; writes beyond it fail with ENOSPC after filling what is left. Default: no limit. */
  readonly capacityBytes?: number
  readonly latenciesMs?: Partial<Latencies>
}

/** Called before each mutating operation takes effect. `index` counts them from 1 over the life of the disk. */
export type OperationHook = (operation: DiskOperation, index: number) => void

interface Flight {
  readonly operation: PreparedOperation
  readonly mount: SimFiles | undefined
  /** Last effect before the operation was issued: what a sync covers. */
  readonly mark: number
}

/** An operation that was issued, with what the fault rules said. */
export interface Issued {
  readonly flight: Flight
  readonly verdict: FaultVerdict
}

export class SimDisk {
  capacityBytes: number
  readonly latenciesMs: Latencies
  readonly #random: SimRandom
  #tree = new DiskTree()
  readonly #faults = new FaultList()
  readonly #hooks = new Set<OperationHook>()
  readonly #mounts = new Set<SimFiles>()
  #flights = new Set<Flight>()
  #mark = 0
  #operationCount = 0
  #usedBytes = 0

  constructor(options: SimDiskOptions = {}) {
    this.#random = new SimRandom(options.seed ?? 1)
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
    this.latenciesMs = { ...defaultLatencies, ...options.latenciesMs }
  }

  /** Mutating operations issued so far. */
  get operationCount(): number {
    return this.#operationCount
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get tree(): DiskTree {
    return this.#tree
  }

  addFault(rule: FaultRule): Fault {
    return this.#faults.add(rule)
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  /** The returned function removes the hook. */
  onOperation(hook: OperationHook): () => void {
    this.#hooks.add(hook)
    return () => this.#hooks.delete(hook)
  }

  /** State of a file, for tests: its durable and cached bytes. Throws ENOENT. */
  file(path: string): FileState {
    return this.#tree.file({ kind: 'open', path })
  }

  flipBit(path: string, position: number, bit: number): void {
    this.file(path).flipBit(position, bit)
  }

  /** Power loss; see `CrashOptions`. */
  crash(options: CrashOptions = {}): CrashReport {
    const plan = new CrashPlan(options, options.seed === undefined ? this.#random : new SimRandom(options.seed))
    const inFlight = this.#landFlights(
      () => true,
      operation => plan.begins(operation),
    )
    for (const mount of [...this.#mounts]) mount.die()
    const lostBytes = new Map<string, number>()
    const lostNames = new Map<string, string[]>()
    this.#usedBytes = 0
    this.#tree.losePower(
      (folder, pending) => {
        const kept = plan.keepNames(folder, pending)
        const lost = pending.filter(change => !kept.includes(change))
        if (lost.length > 0) lostNames.set(folder.label, lost.map(describeChange))
        return kept
      },
      file => {
        const lost = file.losePower({
          keepWrite: write => plan.keepWrite(file, write),
          keepSizes: count => plan.keepSizes(file, count),
        })
        if (lost > 0) lostBytes.set(file.label, lost)
        this.#usedBytes += file.size
      },
    )
    return { inFlight, lostBytes, lostNames }
  }

  /**
   * The end of a process (or of one mount, as of a worker thread): what it wrote stays in the cache. What was in flight has happened, has
   * not, or, for writes, has happened in part.
   */
  processKill(mount?: SimFiles): void {
    this.#landFlights(
      flight => mount === undefined || flight.mount === mount,
      () => this.#random.chance(0.5),
      true,
    )
    for (const each of mount === undefined ? [...this.#mounts] : [mount]) each.die()
  }

  /**
   * A copy of the disk as it is now, operations in flight included, without faults, hooks and mounts. A test that runs its program once
   * and crashes a copy at every operation needs no second run.
   */
  fork(seed: number): SimDisk {
    const copy = new SimDisk({ seed, capacityBytes: this.capacityBytes, latenciesMs: this.latenciesMs })
    const files = new Map<FileState, FileState>()
    copy.#tree = this.#tree.copy((from, to) => files.set(from, to))
    copy.#mark = this.#mark
    copy.#operationCount = this.#operationCount
    copy.#usedBytes = this.#usedBytes
    for (const { operation, mark } of this.#flights) {
      const { file, bytes, ...data } = operation
      const copied = file === undefined ? undefined : files.get(file)
      if (file !== undefined && copied === undefined) continue
      copy.#flights.add({
        mark,
        mount: undefined,
        operation: {
          ...data,
          ...(copied === undefined ? {} : { file: copied }),
          ...(bytes === undefined ? {} : { bytes: bytes.slice() }),
        },
      })
    }
    return copy
  }

  /** For `SimFiles`: takes part in crashes until it dies. */
  attach(mount: SimFiles): void {
    this.#mounts.add(mount)
  }

  detach(mount: SimFiles): void {
    this.#mounts.delete(mount)
  }

  /** Step 1 and 2. Throws EBADF when the mount is dead, also when a hook has just killed it. */
  issue(mount: SimFiles, operation: PreparedOperation): Issued {
    if (!mount.isAlive) throw systemError('EBADF', operation)
    const flight: Flight = { operation, mount, mark: this.#mark }
    if (isMutating(operation.kind)) {
      this.#operationCount++
      this.#flights.add(flight)
      for (const hook of [...this.#hooks]) hook(operation, this.#operationCount)
      if (!mount.isAlive) throw systemError('EBADF', operation)
    }
    return { flight, verdict: this.#faults.judge(operation) }
  }

  /** Virtual duration of an asynchronous operation. */
  drawLatencyMs(operation: DiskOperation): number {
    const [least, most] = this.latenciesMs[operation.kind]
    return least + (most - least) * this.#random.fraction()
  }

  /** Step 3: the effect, or the fault's error. Returns the file of a 'create'. */
  complete({ flight, verdict }: Issued): FileState | undefined {
    this.#flights.delete(flight)
    const { operation, mark } = flight
    if (verdict.code === undefined) return this.#apply(operation, mark)
    if (operation.kind === 'sync') operation.file!.failSync(mark)
    if (operation.kind === 'write') this.#failWrite(operation, verdict.partial)
    throw systemError(verdict.code, operation)
  }

  /** Gives back the space of a file that has neither name nor handle. */
  release(file: FileState): void {
    if (file.links === 0 && file.opens === 0) this.#usedBytes -= file.size
  }

  /** `mark` is the last effect before the issue of the operation. */
  #apply(operation: PreparedOperation, mark: number): FileState | undefined {
    const effect = ++this.#mark
    const { file, to } = operation
    switch (operation.kind) {
      case 'create':
        return this.#tree.create(effect, operation)
      case 'write':
        this.#write(effect, operation, operation.dsync === true)
        return undefined
      case 'truncate': {
        assert(file !== undefined && operation.size !== undefined, 'a truncation has a file and a size')
        const growth = operation.size - file.size
        if (this.#usedBytes + growth > this.capacityBytes) throw systemError('ENOSPC', operation)
        file.truncate(effect, operation.size)
        this.#usedBytes += growth
        return undefined
      }
      case 'sync':
        file!.sync(mark)
        return undefined
      case 'makeDirectory':
        this.#tree.makeDirectory(effect, operation)
        return undefined
      case 'rename': {
        const replaced = this.#tree.find(to!)
        this.#tree.rename(effect, operation, to!)
        if (replaced instanceof FileState) this.release(replaced)
        return undefined
      }
      case 'link':
        this.#tree.link(effect, operation, to!)
        return undefined
      case 'remove':
        this.release(this.#tree.remove(effect, operation))
        return undefined
      case 'removeDirectory':
        for (const removed of this.#tree.removeDirectory(effect, operation)) this.release(removed)
        return undefined
      case 'syncDirectory':
        this.#tree.folder(operation).sync(mark)
        return undefined
      default:
        return undefined
    }
  }

  #write(effect: number, operation: PreparedOperation, durable: boolean): void {
    const { file, position, bytes } = operation
    assert(file !== undefined && position !== undefined && bytes !== undefined, 'a write has a file, a position and bytes')
    if (bytes.length === 0) return
    const growth = Math.max(0, position + bytes.length - file.size)
    const missing = Math.max(0, this.#usedBytes + growth - this.capacityBytes)
    const fitting = missing === 0 ? bytes : bytes.subarray(0, Math.max(0, bytes.length - missing))
    const sizeBefore = file.size
    if (fitting.length > 0) {
      if (durable) file.writeDurable(fitting, position)
      else file.write(effect, fitting, position)
    }
    this.#usedBytes += file.size - sizeBefore
    if (missing > 0) throw systemError('ENOSPC', operation)
  }

  /**
   * A failed write leaves nothing or a prefix, of one whole sector all or nothing: a sector is never torn, and the catalog's first one
   * relies on it. A failed durable write leaves bytes that are read until the power is lost.
   */
  #failWrite(operation: PreparedOperation, partial: boolean): void {
    const { file, position, bytes } = operation
    assert(file !== undefined && position !== undefined && bytes !== undefined, 'a write has a file, a position and bytes')
    const isSector = bytes.length === sectorBytes && position % sectorBytes === 0
    const drawn = partial ? this.#random.below(bytes.length + 1) : operation.dsync ? bytes.length : 0
    const left = bytes.subarray(0, isSector && drawn < bytes.length ? 0 : drawn)
    if (left.length === 0) return
    const sizeBefore = file.size
    const effect = ++this.#mark
    if (operation.dsync) file.writeLost(effect, left, position)
    else file.write(effect, left, position)
    this.#usedBytes += file.size - sizeBefore
  }

  /** Ends operations in flight: those that had begun take effect, without being durable by themselves. */
  #landFlights(
    concerns: (flight: Flight) => boolean,
    begins: (operation: DiskOperation) => boolean,
    mayBePartial = false,
  ): { operation: string; begun: boolean }[] {
    const landed: { operation: string; begun: boolean }[] = []
    for (const flight of [...this.#flights]) {
      if (!concerns(flight)) continue
      this.#flights.delete(flight)
      const begun = begins(flight.operation)
      landed.push({ operation: describeOperation(flight.operation), begun })
      if (!begun) continue
      try {
        const { bytes } = flight.operation
        const isCut = mayBePartial && bytes !== undefined && this.#random.chance(0.3)
        const cut = isCut ? { bytes: this.#firstSectors(bytes, flight.operation.position ?? 0) } : {}
        this.#apply({ ...flight.operation, ...cut, dsync: false }, flight.mark)
      } catch {
        // It would have failed; nobody is left to be told.
      }
    }
    return landed
  }

  /** What a killed process has written of `bytes`: whole sectors, since the system copies within a page without being interrupted. */
  #firstSectors(bytes: Uint8Array, position: number): Uint8Array {
    const end = Math.floor((position + this.#random.below(bytes.length + 1)) / sectorBytes) * sectorBytes
    return bytes.subarray(0, Math.max(0, end - position))
  }
}

export function describeOperation({ kind, path, to, position, size }: DiskOperation): string {
  const range = position === undefined ? (size === undefined ? '' : ` ${size}`) : ` ${position}+${size ?? 0}`
  return `${kind} ${path}${to === undefined ? '' : ` -> ${to}`}${range}`
}

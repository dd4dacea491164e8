/**
 * Faults as data: rules that make matching operations of a simulated disk fail or take longer, each with counters, so that a test can
 * prove that its fault happened. Rules are asked in the order of adding; the first that fires decides the error, delays add up.
 */
import type { DiskOperation, OperationKind } from './operation.ts'

export interface FaultRule {
  /** Kinds that match. Default: all. */
  readonly kinds?: readonly OperationKind[]
  /** Paths that match: a part of the path, or a pattern. Default: all. */
  readonly path?: string | RegExp
  /** Further condition. */
  readonly when?: (operation: DiskOperation) => boolean
  /** Error code of the failure, such as 'EIO' or 'ENOSPC'. Without one the rule only delays. */
  readonly code?: string
  /** Virtual ms added to an asynchronous operation. Default 0. */
  readonly delayMs?: number
  /** Matching operations that pass before the rule fires. Default 0. */
  readonly skip?: number
  /** How many operations fail after that. Default 1; Infinity for a lasting fault. */
  readonly times?: number
  /** A failing write leaves a prefix of its bytes, drawn from the seed. Default false: it leaves nothing. */
  readonly partial?: boolean
}

export class Fault {
  readonly rule: FaultRule
  /** Operations that matched. */
  matched = 0
  /** Operations that failed or were delayed by this rule. Invariant: at most `times`. */
  fired = 0
  readonly #remove: () => void

  constructor(rule: FaultRule, remove: () => void) {
    this.rule = rule
    this.#remove = remove
  }

  /** Takes the rule off the disk; counters stay. */
  remove(): void {
    this.#remove()
  }

  /** Counts the operation; true when the rule fires for it. */
  meets(operation: DiskOperation): boolean {
    const { kinds, path, when, skip = 0, times = 1 } = this.rule
    if (kinds !== undefined && !kinds.includes(operation.kind)) return false
    if (path !== undefined && !matchesPath(path, operation)) return false
    if (when !== undefined && !when(operation)) return false
    this.matched++
    if (this.matched <= skip || this.fired >= times) return false
    this.fired++
    return true
  }
}

/** What the rules say about one operation. */
export interface FaultVerdict {
  readonly code: string | undefined
  readonly partial: boolean
  readonly delayMs: number
}

const noFault: FaultVerdict = { code: undefined, partial: false, delayMs: 0 }

export class FaultList {
  readonly #faults: Fault[] = []

  add(rule: FaultRule): Fault {
    const fault = new Fault(rule, () => {
      const index = this.#faults.indexOf(fault)
      if (index !== -1) this.#faults.splice(index, 1)
    })
    this.#faults.push(fault)
    return fault
  }

  clear(): void {
    this.#faults.length = 0
  }

  judge(operation: DiskOperation): FaultVerdict {
    if (this.#faults.length === 0) return noFault
    let delayMs = 0
    for (const fault of this.#faults) {
      if (!fault.meets(operation)) continue
      delayMs += fault.rule.delayMs ?? 0
      if (fault.rule.code !== undefined) return { code: fault.rule.code, partial: fault.rule.partial === true, delayMs }
    }
    return { code: undefined, partial: false, delayMs }
  }
}

function matchesPath(path: string | RegExp, operation: DiskOperation): boolean {
  const matches = (text: string): boolean => (typeof path === 'string' ? text.includes(path) : path.test(text))
  return matches(operation.path) || (operation.to !== undefined && matches(operation.to))
}

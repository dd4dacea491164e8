/** What a task threw, and at which part of the input. Kept apart from the error itself, which users know. */
export class TaskFailure extends Error {
  /** The split, or the stage. */
  readonly place: string
  /** Whether another attempt may do better: the place died, or the disk failed, not the user's code. */
  readonly isLoss: boolean

  constructor(cause: unknown, place: string, isLoss: boolean = false) {
    super(`${place}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.place = place
    this.isLoss = isLoss
  }
}

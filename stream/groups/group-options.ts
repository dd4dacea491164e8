/** Options of the coordinators of groups, resolved once. Members bring their own timeouts when they join. */
export interface GroupOptions {
  /**
   * How long a rebalance waits for more members to come or go before it assigns, ms. Default 10. Each that comes extends the wait by as much, up to
   * ten times it in all: a hundred members that start together make one or two generations. Longer: fewer rebalances, later starts.
   */
  readonly joinWindowMs?: number | undefined
  /** Most members of one group; joins beyond that are TOO_LARGE. Default 10,000. */
  readonly membersMax?: number | undefined
}

export type ResolvedGroupOptions = Readonly<{ [Name in keyof GroupOptions]-?: NonNullable<GroupOptions[Name]> }>

/** Fills in defaults. RangeError when a value makes no sense. */
export function resolveGroupOptions(options: GroupOptions = {}): ResolvedGroupOptions {
  const { joinWindowMs = 10, membersMax = 10_000 } = options
  checkInteger('joinWindowMs', joinWindowMs, 0)
  checkInteger('membersMax', membersMax, 1)
  return Object.freeze({ joinWindowMs, membersMax })
}

/** RangeError unless `value` is an integer from `least` to a year in milliseconds. */
export function checkInteger(option: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > 31_536_000_000)
    throw new RangeError(`${option} is an integer of at least ${least} and at most a year in milliseconds, not ${String(value)}`)
}

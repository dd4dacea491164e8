/** The assignors by name, each with the way a group changes from one assignment to the next. */
import { assignRange } from './assign-range.ts'
import { assignRoundRobin } from './assign-round-robin.ts'
import { assignSticky } from './assign-sticky.ts'
import type { Assign } from './assignor.ts'

/**
 * - 'range': runs of partitions, topic by topic; partition n of topics with equal counts goes to one member.
 * - 'round-robin': all partitions dealt in turn.
 * - 'sticky': balanced, everybody keeps as much as possible; everything stops while the group rebalances.
 * - 'cooperative-sticky': the same assignment, and only the partitions that move stop.
 */
export type AssignorName = 'range' | 'round-robin' | 'sticky' | 'cooperative-sticky'

/**
 * 'eager': all give up everything, then all are assigned. 'cooperative': all go on with what they keep; a partition is handed over when its owner
 * has said that it stopped.
 */
export type RebalanceProtocol = 'eager' | 'cooperative'

export interface NamedAssignor {
  readonly name: AssignorName
  readonly protocol: RebalanceProtocol
  readonly assign: Assign
}

export const assignors: Readonly<Record<AssignorName, NamedAssignor>> = {
  range: { name: 'range', protocol: 'eager', assign: assignRange },
  'round-robin': { name: 'round-robin', protocol: 'eager', assign: assignRoundRobin },
  sticky: { name: 'sticky', protocol: 'eager', assign: assignSticky },
  'cooperative-sticky': { name: 'cooperative-sticky', protocol: 'cooperative', assign: assignSticky },
}

export function isAssignorName(name: unknown): name is AssignorName {
  return typeof name === 'string' && Object.hasOwn(assignors, name)
}

/**
 * The assignor of a group: among those that all members name, the one that most name first; undefined when there is none. Ties go to the earlier
 * in the first member's list.
 */
export function chooseAssignor(preferences: readonly (readonly AssignorName[])[]): NamedAssignor | undefined {
  const [first = [], ...rest] = preferences
  const common = first.filter(name => rest.every(names => names.includes(name)))
  const votes = (name: AssignorName): number =>
    preferences.filter(names => names.find(candidate => common.includes(candidate)) === name).length
  let best = common[0]
  for (const name of common) if (best !== undefined && votes(name) > votes(best)) best = name
  return best === undefined ? undefined : assignors[best]
}

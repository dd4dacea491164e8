/**
 * Who has a partition, and who shall have it: two tables by topic and partition, for one group.
 *
 * Owned by `GroupCoordinator`. Invariant: a partition has one holder at most; it gets one only when it has none.
 */
import type { GroupMember } from './group-member.ts'

export class Holders {
  readonly #holders = new Map<string, (GroupMember | undefined)[]>()
  readonly #targets = new Map<string, (GroupMember | undefined)[]>()
  #held = 0

  /** How many partitions have a holder. */
  get held(): number {
    return this.#held
  }

  holderOf(topic: string, partition: number): GroupMember | undefined {
    return this.#holders.get(topic)?.[partition]
  }

  /** Who shall hold it by the newest assignment. */
  targetOf(topic: string, partition: number): GroupMember | undefined {
    return this.#targets.get(topic)?.[partition]
  }

  /** Gives the partition to the member when nobody has it. False when somebody has. */
  grant(topic: string, partition: number, member: GroupMember): boolean {
    let row = this.#holders.get(topic)
    if (row === undefined) this.#holders.set(topic, (row = []))
    if (row[partition] !== undefined) return false
    row[partition] = member
    member.granted.add(topic, partition)
    this.#held++
    return true
  }

  /** Takes the partition from the member that has it. */
  release(topic: string, partition: number, member: GroupMember): void {
    const row = this.#holders.get(topic)
    if (row?.[partition] !== member) return
    row[partition] = undefined
    member.granted.delete(topic, partition)
    this.#held--
    if (member.granted.size === 0 && row.every(holder => holder === undefined)) this.#holders.delete(topic)
  }

  /** Takes the targets of all members; those before are forgotten. */
  setTargets(members: Iterable<GroupMember>): void {
    this.#targets.clear()
    for (const member of members) this.setTarget(member)
  }

  /** Writes the member down as the one for each partition of its target. */
  setTarget(member: GroupMember): void {
    for (const [topic, list] of member.target) {
      let row = this.#targets.get(topic)
      if (row === undefined) this.#targets.set(topic, (row = []))
      for (const partition of list) row[partition] = member
    }
  }
}

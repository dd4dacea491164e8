/**
 * What falls due when: a binary heap of times with their owners, for `Groups` with thousands of coordinators.
 *
 * An owner may be in it several times: when it must be woken earlier it is put in again, and whoever takes out the later entry knows that it is void.
 */
export interface Deadline<Owner> {
  readonly at: number
  readonly owner: Owner
}

export class DeadlineQueue<Owner> {
  readonly #entries: Deadline<Owner>[] = []

  /** The earliest time; Infinity when the queue is empty. */
  get earliest(): number {
    return this.#entries[0]?.at ?? Number.POSITIVE_INFINITY
  }

  /** Whose the earliest entry is; undefined when the queue is empty. */
  get first(): Owner | undefined {
    return this.#entries[0]?.owner
  }

  push(at: number, owner: Owner): void {
    const entries = this.#entries
    const entry = { at, owner }
    let place = entries.push(entry) - 1
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = entries[parent]
      if (above === undefined || above.at <= at) break
      entries[place] = above
      place = parent
    }
    entries[place] = entry
  }

  /** Takes out the earliest entry if its time has come. */
  popDue(time: number): Deadline<Owner> | undefined {
    const entries = this.#entries
    const first = entries[0]
    if (first === undefined || first.at > time) return undefined
    const last = entries.pop()
    if (last === undefined || last === first) return first
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= entries.length) break
      if ((entries[child + 1]?.at ?? Number.POSITIVE_INFINITY) < (entries[child]?.at ?? 0)) child++
      const below = entries[child]
      if (below === undefined || below.at >= last.at) break
      entries[place] = below
      place = child
    }
    entries[place] = last
    return first
  }
}

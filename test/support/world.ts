/**
 * A machine (see machine.ts) with logs: a state is the logs that are defined with everything in them.
 */
import type { SimDisk, SimRandom } from '../../engine/env/index.ts'
import type { LeaseDescription, OwnedLease } from '../../engine/lease/leases.ts'
import { check, compareLog, equal } from './compare.ts'
import { emptyState, isOwner, type ModelState, withLog } from './log-model.ts'
import { Machine } from './machine.ts'
import { drawSwarm, type Swarm } from './swarm.ts'

export { folder } from './machine.ts'

export interface HeldLease {
  readonly owned: OwnedLease
  readonly description: LeaseDescription
  readonly state: ModelState
}

export class World extends Machine<ModelState, Swarm> {
  leases: HeldLease[] = []

  constructor(seed: number, swarm?: Swarm, disk?: SimDisk) {
    super(seed, emptyState, random => swarm ?? drawSwarm(random), disk)
  }

  override fork(seed: number): World {
    const copy = new World(seed, this.swarm, this.disk.fork(seed))
    this.copyTo(copy)
    return copy
  }

  protected override forget(): void {
    this.leases = []
  }

  protected override adopt(): void {
    let state = this.state
    for (const model of state.values()) {
      if (!isOwner(model)) continue
      const { flushedEnd } = this.database.log(model.definition.name)
      check(
        flushedEnd <= Math.max(model.highWatermark, model.start),
        `log ${model.definition.name}: only what was released is flushed`,
        flushedEnd,
        model.highWatermark,
      )
      state = withLog(state, { ...model, highWatermark: Math.max(flushedEnd, model.start) })
    }
    this.amend(state)
    this.compareAll()
    for (const model of this.state.values()) {
      const log = this.database.log(model.definition.name)
      equal(log.durableOffset, model.end, `log ${log.name}: all that was recovered is durable`)
    }
  }

  /** Compares every log with the newest state. */
  override compareAll(random: SimRandom | undefined = this.random): void {
    const { state } = this
    const names = this.database.list().map(definition => `${definition.id} ${definition.name} ${definition.kind}`)
    const expected = [...state.values()]
      .map(({ definition }) => definition)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(definition => `${definition.id} ${definition.name} ${definition.kind}`)
    equal(names.join(), expected.join(), 'defined logs')
    for (const model of state.values()) compareLog(this.database.log(model.definition.name), model, random)
  }
}

/**
 * The model test of one seed: a random program over a simulated machine that now and then closes, is killed or loses power, at rest or at any
 * disk operation, also while it opens. After each opening, and every few steps, everything readable is compared with the model.
 */
import type { OpenOptions } from '../../engine/options.ts'
import type { EndKind, Machine } from '../support/machine.ts'
import { step } from '../support/operations.ts'
import { World } from '../support/world.ts'

export type AnyMachine = Machine<unknown, { readonly options: OpenOptions }>

export interface SeedReport {
  readonly seed: number
  readonly steps: number
  readonly opens: number
}

/** Runs one seed; throws an Error with the seed and the end of the trace. */
export async function runModel(seed: number, steps = 150): Promise<SeedReport> {
  const world = new World(seed)
  return runMachine(world, () => step(world), steps)
}

/** Runs so many steps of a machine, with its ends and beginnings. */
export async function runMachine(world: AnyMachine, makeStep: () => Promise<void>, steps: number): Promise<SeedReport> {
  try {
    await runLives(world, makeStep, steps)
    return { seed: world.seed, steps: world.counters.steps, opens: world.counters.opens }
  } catch (error) {
    throw failureOf(world, error)
  }
}

export function failureOf(world: AnyMachine, error: unknown): Error {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const cause = error instanceof Error && error.cause instanceof Error ? `\ncaused by ${error.cause.stack}` : ''
  return new Error(
    `seed ${world.seed} failed: ${text}${cause}\n--- swarm ${JSON.stringify({ ...world.swarm, operations: undefined })}\n--- last steps\n${world.trace.join('\n')}`,
  )
}

async function runLives(world: AnyMachine, makeStep: () => Promise<void>, steps: number): Promise<void> {
  const { random } = world
  await world.open()
  for (let left = steps; left > 0; ) {
    const count = Math.min(left, 5 + random.below(60))
    left -= count
    const how = random.below(10)
    const kind: EndKind = random.chance(0.5) ? 'power' : 'kill'
    // Half of the ends come in the middle of things.
    const cancel = how < 5 ? world.endAt(random.below(200), kind) : undefined
    for (let i = 0; i < count && world.isAlive; i++) await world.run(makeStep)
    if (world.isAlive) world.compareAll()
    const isClosed = world.isAlive && how >= 7 && (await world.close())
    cancel?.()
    if (world.isAlive || (isClosed && random.chance(0.5))) world.end(kind)
    await reopen(world)
  }
  await world.run(() => world.database.flush())
  world.compareAll()
  if (await world.close()) {
    world.restart()
    await world.open()
    await world.close()
  }
}

/** Opens again, sometimes dying on the way. */
export async function reopen(world: AnyMachine): Promise<void> {
  const { random } = world
  for (let deaths = random.chance(0.3) ? 1 + random.below(2) : 0; ; deaths--) {
    world.restart()
    const cancel = deaths > 0 ? world.endAt(random.below(30), random.chance(0.5) ? 'power' : 'kill') : undefined
    const isOpen = await world.open()
    cancel?.()
    if (isOpen) return
  }
}

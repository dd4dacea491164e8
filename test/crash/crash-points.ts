/**
 * The power-loss test: a random program runs once; before disk operations that change something the disk is copied with what is in flight, and
 * each copy is crashed there: power loss keeping any legal part of what was not synced, or the end of the process. The copy is opened again,
 * sometimes dying on the way a second time, and compared with the history of commits; then it goes on with the program, and may crash again.
 *
 * What is checked is in `World.open`: no acknowledged commit is lost, the state is that of exactly one moment of the history (so commits over
 * several logs are whole, truncated suffixes stay away, metadata survives), and no legal crash makes the database refuse to open.
 */
import { SimRandom } from '../../engine/env/index.ts'
import { type AnyMachine, failureOf, reopen } from '../model/model.ts'
import { step } from '../support/operations.ts'
import { World } from '../support/world.ts'

export interface CrashRun {
  /** Crash points tried. */
  readonly points: number
  /** Disk operations that the crashed program made. */
  readonly operations: number
}

export interface CrashOptions {
  /** Stop after so many crash points. */
  readonly pointsMax: number
  readonly steps?: number
  /** Part of the disk operations at which a copy is crashed. Default: drawn, up to all of them. */
  readonly density?: number
}

/** Copies wait for their turn until the program is between two steps. */
const waitingMax = 64

/** A kind of machine, and the step of its program. */
export interface CrashProgram<M> {
  create(seed: number): M
  fork(machine: M, seed: number): M
  step(machine: M): Promise<void>
}

export const logProgram: CrashProgram<World> = { create: seed => new World(seed), fork: (world, seed) => world.fork(seed), step }

export async function runCrashPoints<M extends AnyMachine = World>(
  seed: number,
  options: CrashOptions,
  program: CrashProgram<M> = logProgram as unknown as CrashProgram<M>,
): Promise<CrashRun> {
  const random = new SimRandom(seed ^ 0x5eed)
  const world = program.create(seed)
  const density = options.density ?? [0.05, 0.2, 1][random.below(3)] ?? 1
  const waiting: { readonly world: M; readonly what: string }[] = []
  let points = 0
  let operations = 0
  world.disk.onOperation(operation => {
    operations++
    if (waiting.length >= waitingMax || points + waiting.length >= options.pointsMax || !random.chance(density)) return
    waiting.push({ world: program.fork(world, random.uint32()), what: `operation ${operations}: ${operation.kind} ${operation.path}` })
  })
  const crashWaiting = async (): Promise<void> => {
    for (const { world: copy, what } of waiting.splice(0)) {
      points++
      copy.note(`crash at ${what}`)
      try {
        await crash(copy, program)
      } catch (error) {
        throw failureOf(copy, error)
      }
    }
  }
  try {
    await world.open()
    await crashWaiting()
    for (let left = options.steps ?? 120; left > 0 && points < options.pointsMax; left--) {
      await world.run(() => program.step(world))
      // Now and then the program closes and opens again: closing has crash points of its own.
      if (random.chance(0.03)) {
        await world.close()
        await crashWaiting()
        world.restart()
        await world.open()
      }
      await crashWaiting()
    }
    await world.close()
    await crashWaiting()
  } catch (error) {
    throw error instanceof Error && error.message.startsWith('seed ') ? error : failureOf(world, error)
  }
  return { points, operations }
}

/** One crash of a copy, with what follows. */
async function crash<M extends AnyMachine>(world: M, program: CrashProgram<M>): Promise<void> {
  const { random } = world
  world.end(random.chance(0.7) ? 'power' : 'kill')
  await reopen(world)
  const then = random.below(10)
  if (then < 5) return
  // The recovered database goes on, and may die again in the middle of it.
  const cancel = then < 8 ? world.endAt(random.below(60), random.chance(0.6) ? 'power' : 'kill') : undefined
  for (let left = 1 + random.below(12); left > 0 && world.isAlive; left--) await world.run(() => program.step(world))
  if (world.isAlive && random.chance(0.3)) await world.run(() => world.database.seal())
  if (world.isAlive) world.compareAll()
  const isClosed = world.isAlive && random.chance(0.3) && (await world.close())
  cancel?.()
  if (world.isAlive) world.end(random.chance(0.6) ? 'power' : 'kill')
  else if (isClosed && random.chance(0.5)) world.end('power')
  await reopen(world)
}

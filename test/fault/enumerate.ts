/**
 * Every disk operation of the scripted workload fails, one after the other, in several ways.
 *
 * 1. Once without faults: counts the operations of each section and keeps the disk and the state before it.
 * 2. For each section and operation: on a copy of that disk the section runs with the fault; then two judges look at what is left: the process
 *    that opens the folder next, and one that opens it after a power loss. Both must find a possible state, append, close, and find it again.
 */
import type { SimDisk } from '../../engine/env/index.ts'
import type { FaultRule } from '../../engine/env/sim/faults.ts'
import type { State } from './model.ts'
import { Program, smallOptions } from './program.ts'
import { runSection, type Section, sections } from './script.ts'

export type FaultMode =
  /** The operation fails once, a write after a part of its bytes. */
  | 'EIO once'
  /** It and all later ones fail until the process is gone. */
  | 'EIO for ever'
  /** No byte more fits on the disk, until the process is gone. */
  | 'disk full'
  /** As if somebody had made the folder read-only: whatever changes something fails. */
  | 'read-only'

export const faultModes: readonly FaultMode[] = ['EIO once', 'EIO for ever', 'disk full', 'read-only']

/** A section, the disk before it, and how many operations it makes. */
export interface Stage {
  readonly section: Section
  readonly disk: SimDisk
  readonly state: State
  readonly operationCount: number
}

export async function prepareStages(seed: number): Promise<Stage[]> {
  const stages: Stage[] = []
  let disk: SimDisk | undefined
  let state: State = new Map()
  for (const section of sections) {
    const program = new Program(seed, smallOptions, disk?.fork(seed), state)
    const before = program.disk.fork(seed)
    const counter = program.disk.addFault({ times: Number.POSITIVE_INFINITY })
    await runSection(program, section)
    const problems = [...program.problems, ...program.errors]
    if (problems.length > 0) throw new Error(`without faults, ${section.name}: ${String(problems[0])}`)
    stages.push({ section, disk: before, state, operationCount: counter.matched })
    program.disk.clearFaults()
    disk = program.disk
    state = program.model.newest
  }
  return stages
}

export interface FaultCase {
  readonly stage: Stage
  /** From 1. */
  readonly operation: number
  readonly mode: FaultMode
  readonly seed: number
}

export interface FaultOutcome {
  readonly fired: number
  /** Errors that the program was given, all typed. */
  readonly errors: readonly unknown[]
  /** Violations; empty when all is well. */
  readonly problems: readonly string[]
}

const changing = ['create', 'write', 'truncate', 'makeDirectory', 'rename', 'link', 'remove', 'removeDirectory'] as const

function ruleOf(mode: FaultMode, operation: number): FaultRule {
  const skip = operation - 1
  if (mode === 'EIO once') return { code: 'EIO', skip, times: 1, partial: operation % 2 === 0 }
  if (mode === 'EIO for ever') return { code: 'EIO', skip, times: Number.POSITIVE_INFINITY }
  return { skip, times: 1 }
}

export async function runFaultCase({ stage, operation, mode, seed }: FaultCase): Promise<FaultOutcome> {
  const program = new Program(seed, smallOptions, stage.disk.fork(seed), stage.state)
  const { disk, problems, errors } = program
  const rule = ruleOf(mode, operation)
  let count = 0
  const fault = disk.addFault({
    ...rule,
    when: () => {
      if (++count !== operation) return true
      if (mode === 'disk full') disk.capacityBytes = disk.usedBytes
      if (mode === 'read-only') disk.addFault({ kinds: changing, code: 'EROFS', times: Number.POSITIVE_INFINITY })
      return true
    },
  })
  await runSection(program, stage.section)
  disk.clearFaults()
  disk.capacityBytes = Number.POSITIVE_INFINITY
  await judge(program, seed, operation % 3 === 0)
  return { fired: fault.fired, errors: [...errors], problems: [...problems] }
}

/**
 * The next process, and one after a power loss at this moment. No fault is left, so every error is a problem. `thorough`: each of them closes and is
 * opened once more.
 */
async function judge(program: Program, seed: number, thorough: boolean): Promise<void> {
  const { problems } = program
  const states = program.model.copy()
  const afterPower = program.disk.fork(seed)
  const failures = program.errors.length
  await goOn(program, 'process end', thorough)
  afterPower.crash({ seed })
  const other = new Program(seed + 1, smallOptions, afterPower)
  other.model.adopt(states)
  other.backups.push(...program.backups)
  await goOn(other, 'power loss', thorough)
  problems.push(...other.problems.map(problem => `after power loss: ${problem}`))
  for (const error of [...program.errors.slice(failures), ...other.errors])
    problems.push(`without a fault: ${String((error as Error).stack)}`)
}

async function goOn(program: Program, survived: 'process end' | 'power loss', thorough: boolean): Promise<void> {
  const before = program.model.copy()
  if (!(await program.open(survived))) return
  const recovered = program.model.newestNumber
  const after = program.model.copy()
  // The backups are of states that may not have survived here.
  program.model.adopt(before)
  for (const path of program.backups) {
    if (((await program.readBackup(path)) ?? 0) > recovered) program.problems.push(`${path} is ahead of its source`)
  }
  program.model.adopt(after)
  await program.define()
  await program.append('sync', { log: 'events', count: 1 }, { log: 'table', count: 1 })
  if (program.model.content.size > 0) await program.store('sync', [{ type: 'put', key: 7 }], true)
  await program.check()
  if (!thorough) return
  await program.close()
  await program.open()
  await program.check()
  await program.close()
}

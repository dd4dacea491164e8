/**
 * The scripted workload: every mechanism of the engine once or a few times, in about a hundred small steps. The same program without faults
 * makes the same disk operations each time, so "operation k fails" names one place.
 */
import type { Program, StoreWrite } from './program.ts'

type Step = (program: Program) => Promise<void>

export interface Section {
  readonly name: string
  readonly steps: readonly Step[]
}

/** Each section opens what the one before closed, so that a run with one failure needs only its own section. */
export const sections: readonly Section[] = [
  {
    name: 'a new database',
    steps: [
      program => program.append('sync', { log: 'events', count: 3 }),
      program => program.append('buffered', { log: 'events', count: 2 }),
      program => program.append('none', { log: 'table', count: 2 }),
      program => program.append('sync', { log: 'events', count: 1 }, { log: 'table', count: 2 }, { log: 'feed', count: 2 }),
      program => program.setMetadata('events', 'first'),
      program => program.append('sync', { log: 'raft', count: 4 }),
      program => program.check(),
    ],
  },
  {
    name: 'staged commits and a first seal',
    steps: [
      program => program.append('sync', { log: 'latest', count: 9 }),
      program => program.append('sync', { log: 'events', count: 3, padding: 2500 }, { log: 'feed', count: 1, padding: 2500 }),
      program => program.append('none', { log: 'feed', count: 2, padding: 2500 }),
      program => program.maintain('flush'),
      program => program.maintain('seal'),
      program => program.check(),
    ],
  },
  { name: 'small segments', steps: many(4, sealSome) },
  { name: 'more small segments', steps: many(4, sealSome) },
  {
    name: 'truncation and consolidation',
    steps: [
      program => program.truncate('raft', 2),
      program => program.append('sync', { log: 'raft', count: 2 }),
      program => program.maintain('consolidate'),
      program => program.check(),
    ],
  },
  {
    name: 'compaction by key',
    steps: [...many(2, sealSome), program => program.compact('latest'), program => program.compact('table'), program => program.check()],
  },
  {
    name: 'trimming',
    steps: [
      program => program.trim('events', program.model.log('events').endOffset - 2),
      program => program.maintain('consolidate'),
      program => program.check(),
    ],
  },
  {
    name: 'leases, full arenas, recycled files',
    steps: [
      program => program.append('sync', { log: 'events', count: 2 }, { log: 'feed', count: 1 }),
      program => program.withLease(() => program.maintain('seal')),
      ...many(2, () => [program => program.append('buffered', { log: 'feed', count: 3, padding: 1100 })]),
      ...many(6, () => [program => program.append('sync', { log: 'events', count: 3, padding: 1100 })]),
      program => program.maintain('drain'),
      program => program.maintain('seal'),
      program => program.check(),
    ],
  },
  {
    name: 'reset, and a tail at the end',
    steps: [
      program => program.reset('raft', 100),
      program => program.append('sync', { log: 'raft', count: 1 }),
      ...many(3, () => [program => program.append('sync', { log: 'table', count: 3, padding: 1100 })]),
      program => program.append('none', { log: 'events', count: 1 }),
      program => program.check(),
    ],
  },
  {
    name: 'a store with an index',
    steps: [
      program => program.store('sync', [put(1), put(2), put(3, 900)]),
      program => program.store('buffered', [put(2), { type: 'del', key: 1 }]),
      program => program.store('sync', [{ type: 'put', key: 4, expires: true }]),
      program => program.store('sync', [put(5), { type: 'delRange', from: 2, to: 4 }], true),
      program => program.store('none', [put(6)]),
      program => program.maintain('seal'),
      program => program.check(),
    ],
  },
  {
    name: 'runs of a store',
    steps: [
      ...many(2, sealStore),
      program => program.store('sync', [{ type: 'delRange', from: 10, to: 14 }]),
      program => program.maintain('consolidate'),
      program => program.check(),
    ],
  },
  {
    name: 'compaction of a store',
    steps: [
      program => program.store('sync', range(8, 30), true),
      program => program.maintain('seal'),
      program => program.compactStore('store'),
      program => program.compactStore('index'),
      program => program.check(),
      program => program.store('sync', [put(9), { type: 'del', key: 11 }]),
      program => program.check(),
    ],
  },
  {
    name: 'a store under a lease',
    steps: [
      program =>
        program.withLease(async () => {
          await program.store('sync', [put(20, 300), { type: 'delRange', from: 8, to: 12 }])
          await program.maintain('seal')
          await program.compactStore('store')
        }),
      program => program.check(),
    ],
  },
  {
    name: 'stores that come and go',
    steps: [
      program => program.extra('first', 'sync', [1, 2, 3]),
      program => program.extra('second', 'buffered', [1, 2]),
      program => program.renameStore('first', 'third'),
      program => program.maintain('seal'),
      program => program.extra('third', 'none', [3, 4]),
      program => program.dropStore('second'),
      program => program.check(),
      program => program.extra('second', 'sync', [9]),
      program => program.maintain('seal'),
      program => program.dropStore('third'),
      program => program.renameStore('second', 'first'),
      program => program.check(),
    ],
  },
  {
    name: 'a backup with stores',
    steps: [
      program => program.store('sync', [put(21), put(22)], true),
      program => program.extra('first', 'none', [5]),
      program => program.backUp('/backups/one'),
      program => program.check(),
    ],
  },
  {
    name: 'definitions',
    steps: [
      program => program.attempt('define', () => program.database?.define([{ name: 'extra', kind: 'topic' }])).then(() => undefined),
      program => program.attempt('redefine', () => program.database?.redefine('events', { a: 1 })).then(() => undefined),
      program => program.append('sync', { log: 'events', count: 1 }),
      program => program.attempt('drop', () => program.database?.drop(['extra'])).then(() => undefined),
      program => program.check(),
    ],
  },
]

function put(key: number, padding: number = 0): StoreWrite {
  return { type: 'put', key, padding }
}

function range(from: number, to: number): StoreWrite[] {
  return Array.from({ length: to - from }, (_, i) => put(from + i, 60))
}

function sealStore(): Step[] {
  return [
    program => program.store('sync', [...range(8, 20), { type: 'del', key: 5 }]),
    program => program.store('buffered', [put(15), { type: 'delRange', from: 16, to: 18 }], true),
    program => program.maintain('seal'),
  ]
}

function sealSome(): Step[] {
  return [
    program => program.append('sync', { log: 'events', count: 2 }, { log: 'table', count: 1 }, { log: 'latest', count: 4 }),
    program => program.maintain('seal'),
  ]
}

function many(times: number, make: () => Step[]): Step[] {
  return Array.from({ length: times }, make).flat()
}

/** Opens, runs the steps, reviving after failures, and closes. */
export async function runSection(program: Program, section: Section): Promise<void> {
  if (await program.open()) await program.define()
  for (const step of section.steps) if (await program.revive()) await step(program)
  await program.close()
}

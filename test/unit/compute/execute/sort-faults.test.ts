/**
 * Goal: a sort by several threads survives what may go wrong, with the right rows or a typed error, and leaves no file: a thread that exits on the way, a task that waits for ever, a poisoned row, a
 * disk that is full. Runs from lib, as worker threads do, but for the full disk.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Executor } from '../../../../compute/execute/executor.ts'
import { runStaged } from '../../../../compute/execute/run-staged.ts'
import { runTask } from '../../../../compute/execute/task.ts'
import { TaskFailure } from '../../../../compute/execute/task-failure.ts'
import { flow, type Job, readBinary, row, writeBinary } from '../../../../compute/index.ts'
import { readers } from '../../../../compute/source/readers.ts'
import { type File, type Files, makeScratchFolder, nodeFiles, VarveError } from '../../../../engine/index.ts'
import type { Database } from '../../../../index.ts'
import { makeRandom } from '../../engine/codec/random.ts'

interface Event {
  readonly id: number
  readonly price: number
}

const events = Array.from({ length: 20_000 }, (_, id): Event => ({ id, price: (id * 7919) % 1000 }))
const temporary = process.env.TMPDIR
let folder: string
let db: Database

/** Of this test alone: jobs of other tests are elsewhere. */
const jobFolders = (): string[] => readdirSync(folder).filter(name => name.startsWith('varve-job-'))
const jobOf = async <Args>(name: string): Promise<Job<Event, Args>> => (await import(`../jobs/${name}.mjs`)).default as Job<Event, Args>

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'varve-sort-faults-'))
  process.env.TMPDIR = folder
  const { open } = (await import(new URL('../../../../lib/index.js', import.meta.url).href)) as { open(path: string): Promise<Database> }
  db = await open(join(folder, 'data'))
  await db.store<Event, number>('events').batch(events.map(value => ({ type: 'put' as const, key: value.id, value })))
  await db.seal()
})

afterAll(async () => {
  if (temporary === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = temporary
  await db.close()
  rmSync(folder, { recursive: true })
})

describe('a sort by threads', () => {
  const byPrice = JSON.stringify(events.toSorted((a, b) => a.price - b.price || b.id - a.id))
  // Little memory, so that runs lie in files.
  const options = { workers: 2, memoryBytesMax: 2 << 20 }

  it('goes on when one exits, once', async () => {
    const job = await jobOf<{ at: number; marker?: string }>('dying')
    const rows = await job.toArray(db, { ...options, args: { at: 13_000, marker: join(folder, 'exited') } })
    expect(JSON.stringify(rows)).toBe(byPrice)
    const failing = job.toArray(db, { ...options, args: { at: 13_000 } })
    await expect(failing).rejects.toMatchObject({ code: 'TASK_FAILED', details: { attempts: 2 } })
    await expect(failing).rejects.toThrow(
      /^job dying failed at store events, range \d of \d: a worker thread ended while it ran a task: exit code 3, tried 2 times$/,
    )
    expect(jobFolders()).toEqual([])
  })

  it('names the part of the input that has a poisoned row', async () => {
    const job = await jobOf<{ at: number; throws: boolean }>('dying')
    const failing = job.toArray(db, { ...options, args: { at: 19_000, throws: true } })
    await expect(failing).rejects.toThrow(/^job dying failed at store events, range \d of \d: event 19000 is poisoned, tried 2 times$/)
    expect(jobFolders()).toEqual([])
  })

  it('runs a task that waits for ever a second time, if it may, and ends the first', async () => {
    const job = await jobOf<{ at: number; marker: string }>('stalling')
    const rows = await job.toArray(db, {
      ...options,
      args: { at: 100, marker: join(folder, 'stalled') },
      speculation: { taskMsMin: 0 },
    })
    expect(JSON.stringify(rows)).toBe(JSON.stringify(events.toReversed().map(({ id, price }) => ({ id, price }))))
    expect(jobFolders()).toEqual([])
  })
})

/** The files of the machine, of which writes fail once so many have been made: `times` of them. */
function fullDisk(after: number, times: number): Files & { failed: number } {
  let writes = 0
  const files = Object.assign(Object.create(nodeFiles) as Files & { failed: number }, { failed: 0 })
  files.openSync = (path, mode) => {
    const file = nodeFiles.openSync(path, mode)
    const failing = Object.create(file) as File
    failing.readSync = (...args) => file.readSync(...args)
    failing.closeSync = () => file.closeSync()
    failing.sync = () => file.sync()
    failing.writeSync = (bytes, position) => {
      if (++writes > after && files.failed < times) {
        files.failed++
        throw new VarveError('NO_SPACE', `${path}: no space left on device`)
      }
      file.writeSync(bytes, position)
    }
    Object.defineProperty(failing, 'path', { value: path })
    return failing
  }
  return files
}

describe('a full disk', () => {
  const recordBytes = 50
  const input = (): string => join(folder, 'records.dat')
  let sorted: Buffer

  beforeAll(() => {
    const random = makeRandom(5)
    const bytes = Buffer.from(Array.from({ length: 60_000 * recordBytes }, () => random.below(256)))
    const file = nodeFiles.openSync(input(), 'create')
    file.writeSync(bytes, 0)
    file.closeSync()
    const records = Array.from({ length: bytes.length / recordBytes }, (_, i) => bytes.subarray(i * recordBytes, (i + 1) * recordBytes))
    sorted = Buffer.concat(records.sort((a, b) => a.compare(b)))
  })

  /** Tasks one after the other in this thread, with these files. */
  function local(files: Files): Executor {
    return {
      slots: 2,
      open: job => ({
        run: task =>
          runTask(task, {
            plan: 'data' in job.plan ? job.plan.data : expect.fail('a plan without functions crosses as data'),
            files,
            sink: job.sink,
            monotonic: () => 0,
            progress: job.progress,
            open: async (number, split, needs) => {
              const source = job.share(number, undefined)
              const opener = await readers[source?.reader ?? '']?.(source?.input, nodeFiles)
              return (await opener?.open(split, needs)) ?? expect.fail('a split is of a source')
            },
          }),
        reuse: () => undefined,
        close: async () => undefined,
      }),
      close: async () => undefined,
    }
  }

  async function sortWith(files: Files, output: string): Promise<void> {
    const end = await writeBinary(output, { parts: true }).open()
    const { plan } = flow('f', readBinary(input(), { recordBytes })).sort(row())
    try {
      await runStaged(plan, end, {
        name: 'sort',
        module: undefined,
        executor: local(files),
        files,
        makeFolder: () => makeScratchFolder('varve-job-'),
        signal: undefined,
        attemptsMax: 2,
        speculation: undefined,
        memoryBytesMax: 1 << 20,
        onProgress: undefined,
      })
      await end.commit()
    } catch (error) {
      await end.abort()
      throw error
    }
  }

  it('ends the sort with NO_SPACE, wherever it comes, and nothing is left of it', async () => {
    for (const after of [0, 1, 12, 30]) {
      const files = fullDisk(after, Number.POSITIVE_INFINITY)
      const output = join(folder, `full-${after}`)
      await expect(sortWith(files, output)).rejects.toMatchObject({ code: 'NO_SPACE' })
      expect(files.failed).toBeGreaterThan(1)
      expect(readdirSync(folder).filter(name => name.startsWith('.varve-') || name.startsWith('full-'))).toEqual([])
    }
    expect(jobFolders()).toEqual([])
  })

  it('costs an attempt when there is space again', async () => {
    for (const after of [0, 12, 30]) {
      const files = fullDisk(after, 1)
      const output = join(folder, `again-${after}`)
      await sortWith(files, output)
      expect(files.failed).toBe(1)
      expect(Buffer.concat(readdirSync(output).map(name => nodeBytes(join(output, name)))).equals(sorted)).toBe(true)
    }
    expect(new TaskFailure(new Error('x'), 'here').isLoss).toBe(false)
  })
})

function nodeBytes(path: string): Uint8Array {
  const file = nodeFiles.openSync(path, 'read')
  const bytes = new Uint8Array(nodeFiles.statSync(path)?.size ?? 0)
  file.readSync(bytes, 0)
  file.closeSync()
  return bytes
}

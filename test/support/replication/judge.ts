/**
 * The judge of a run. While it lasts: one leader a term; what any machine applied at an offset is what every machine applies there, for ever; a
 * snapshot is the state of its offset. At the end: all logs are equal byte for byte up to the high watermark, machines equal a fold over the log, and
 * every acknowledged command stands where its client was told.
 */
import { createHash } from 'node:crypto'
import type { Database } from '../../../engine/database.ts'
import { createSimEnvironment, type SimDisk } from '../../../engine/env/index.ts'
import { batchBase, batchEnd, batchLeaderEpoch, batchLength } from '../../../engine/log/batch-kinds.ts'
import type { LocalLog } from '../../../engine/log/log.ts'
import { Accounts, type AccountsObserver, type Command, decodeCommands } from './accounts.ts'

export function check(condition: boolean, what: string, ...values: unknown[]): asserts condition {
  if (!condition) throw new Error(`${what}: ${values.map(value => (typeof value === 'string' ? value : JSON.stringify(value))).join(', ')}`)
}

const textOf = (commands: readonly Command[]): string => commands.map(({ account, id, delta }) => `${account} ${id} ${delta}`).join('; ')

export class Judge implements AccountsObserver {
  readonly #leaders = new Map<number, number>()
  /** By base offset: what was applied there. */
  readonly #applied = new Map<number, { readonly endOffset: number; readonly text: string; readonly digest: number }>()
  readonly #digests = new Map<number, number>([[0, 0]])
  readonly acknowledged: { readonly baseOffset: number; readonly ids: readonly number[] }[] = []

  elected(id: number, term: number): void {
    const other = this.#leaders.get(term)
    check(other === undefined || other === id, 'two leaders in a term', term, other, id)
    this.#leaders.set(term, id)
  }

  get terms(): number {
    return this.#leaders.size
  }

  applied(baseOffset: number, endOffset: number, commands: readonly Command[], digest: number): void {
    const text = textOf(commands)
    const known = this.#applied.get(baseOffset)
    if (known === undefined) {
      this.#applied.set(baseOffset, { endOffset, text, digest })
      this.#digests.set(endOffset, digest)
      return
    }
    check(known.endOffset === endOffset && known.text === text, `two histories at offset ${baseOffset}`, known.text, text)
    check(known.digest === digest, `two states at offset ${endOffset}`, known.digest, digest)
  }

  restored(appliedOffset: number, digest: number): void {
    check(
      this.#digests.get(appliedOffset) === digest,
      `a snapshot of another state at ${appliedOffset}`,
      this.#digests.get(appliedOffset),
      digest,
    )
  }

  /** The cluster stands still: all that is acknowledged must be everywhere. */
  atEnd(logs: readonly LocalLog[], machines: readonly Accounts[]): void {
    const first = logs[0] as LocalLog
    const contents = logs.map(log => contentOf(log))
    for (const [index, log] of logs.entries()) {
      check(log.highWatermark === first.highWatermark, 'high watermarks differ', log.highWatermark, first.highWatermark)
      check(Buffer.compare(contents[index] as Uint8Array, contents[0] as Uint8Array) === 0, 'bytes differ', index)
    }
    const { fold, ids } = this.#foldOf(first, contents[0] as Uint8Array)
    for (const machine of machines)
      check(machine.describe() === fold.describe(), 'a machine differs from the fold', machine.describe(), fold.describe())
    for (const { baseOffset, ids: expected } of this.acknowledged) {
      const found = expected.map((_, i) => ids.get(baseOffset + i))
      check(found.join() === expected.join(), `acknowledged commands at ${baseOffset}`, found, expected)
    }
  }

  #foldOf(log: LocalLog, bytes: Uint8Array): { readonly fold: Accounts; readonly ids: ReadonlyMap<number, number> } {
    const fold = new Accounts(log.kind)
    const ids = new Map<number, number>()
    let epoch = 0
    for (let at = 0; at < bytes.length; at += batchLength(log.kind, bytes, at)) {
      const base = batchBase(log.kind, bytes, at)
      const end = at + batchLength(log.kind, bytes, at)
      for (const [i, { id }] of decodeCommands(log.kind, bytes, at, end).entries()) ids.set(base + i, id)
      fold.apply(bytes, at, end, base)
      check(batchLeaderEpoch(log.kind, bytes, at) >= epoch, 'epochs fall', base, epoch)
      epoch = batchLeaderEpoch(log.kind, bytes, at)
      const ends = log.endOffsetForEpoch(epoch)
      check(ends !== undefined && ends.epoch === epoch && ends.endOffset >= batchEnd(log.kind, bytes, at), 'end of epoch', epoch, ends)
    }
    return { fold, ids }
  }
}

/** All bytes up to the high watermark, with their checksums. */
function contentOf(log: LocalLog): Uint8Array {
  const pieces: Uint8Array[] = []
  for (let offset = log.startOffset; offset < log.highWatermark; ) {
    const slice = log.read(offset, { fillChecksums: true, bytesMax: 3000 })
    check(slice.nextOffset > offset, 'a read makes progress', offset)
    pieces.push(slice.bytes)
    offset = slice.nextOffset
  }
  return Buffer.concat(pieces)
}

/** Every file of a disk as one hash: names, sizes and bytes. */
export function hashOfDisk(disk: SimDisk): string {
  const { files } = createSimEnvironment({ seed: 0, disk: disk.fork(0) })
  const hash = createHash('sha1')
  const visit = (folder: string): void => {
    for (const name of files.listSync(folder)) {
      const path = `${folder}/${name}`
      const stat = files.statSync(path)
      hash.update(`${path} ${stat?.size}\n`)
      if (stat?.isDirectory === true) {
        visit(path)
        continue
      }
      const file = files.openSync(path, 'read')
      const bytes = new Uint8Array(stat?.size ?? 0)
      file.readSync(bytes, 0)
      file.closeSync()
      hash.update(bytes)
    }
  }
  visit('/data')
  return hash.digest('hex')
}

/** For traces: facts about a database that show that the run went where it should. */
export function describeDatabase(db: Database): string {
  const { flush, commitLog, segments } = db.stats()
  return `${flush.flushes} flushes, ${flush.carriedBatches} carried, ${commitLog.stagedCommits} staged, ${commitLog.stalls} stalls, ${segments.count} segments`
}

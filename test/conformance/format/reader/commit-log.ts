/** The commit log: docs/FORMAT.md, section 4, steps 1 to 5 of recovery. Changes nothing. */
import { readdirSync, readFileSync } from 'node:fs'
import { Cursor, check, checksum, Damage, extensions, Newer, sameBytes } from './bytes.ts'

export interface FlushPoint {
  readonly lsn: number
  readonly checksum: Uint8Array
  readonly sequence: number
}

export interface Frame {
  readonly bytes: Buffer
  /** Where the entries begin and end in `bytes`. */
  readonly entriesAt: number
  readonly end: number
  readonly closing: boolean
  readonly staged: boolean
  readonly entryCount: number
  readonly size: number
  readonly checksum: Buffer
  readonly lsn: number
  readonly durableLsn: number
  readonly previous: Buffer
  readonly sequence: number
}

export interface Entry {
  /** LSN of the frame, for staged entries of the frame that names their file. */
  readonly lsn: number
  readonly kind: number
  readonly checksumOpen: boolean
  readonly carried: boolean
  readonly logId: number
  readonly body: Buffer
}

interface LogFile {
  readonly name: string
  readonly number: number
  readonly bytes: Buffer
}

export interface RecoveredLog {
  readonly entries: readonly Entry[]
  readonly frames: number
  readonly endLsn: number
  readonly durableLsn: number
  readonly sequence: number
  readonly isClosed: boolean
}

const aligned = (size: number): number => Math.ceil(size / 512) * 512

/** The frame at a position; undefined when what stands there is none. */
export function frameAt(bytes: Buffer, at: number): Frame | undefined {
  if (at + 72 > bytes.length || bytes.toString('latin1', at + 8, at + 12) !== 'VFRM') return undefined
  const headerSize = bytes.readUInt16LE(at + 14)
  const size = bytes.readUInt32LE(at + 16)
  if (headerSize < 72 || headerSize > size || size > 2 ** 30 || at + size > bytes.length) return undefined
  const sum = bytes.subarray(at, at + 8)
  if (!sameBytes(sum, checksum(bytes.subarray(at + 8, at + size)))) return undefined
  if ([32, 40, 56, 64].some(field => bytes.readBigUInt64LE(at + field) >= 2n ** 53n)) return undefined
  const version = bytes.readUInt8(at + 12)
  const flags = bytes.readUInt8(at + 13)
  if (version === 0) throw new Damage('frame version 0')
  if (version > 1 || flags > 3) throw new Newer(`frame version ${version}, flags ${flags}`)
  extensions(bytes, at + 72, at + headerSize)
  return {
    bytes,
    entriesAt: at + headerSize,
    end: at + size,
    closing: (flags & 1) !== 0,
    staged: (flags & 2) !== 0,
    entryCount: bytes.readUInt32LE(at + 20),
    size,
    checksum: sum,
    lsn: Number(bytes.readBigUInt64LE(at + 32)),
    durableLsn: Number(bytes.readBigUInt64LE(at + 40)),
    previous: bytes.subarray(at + 48, at + 56),
    sequence: Number(bytes.readBigUInt64LE(at + 56)),
  }
}

export function recoverCommitLog(folder: string, point: FlushPoint): RecoveredLog {
  const files = commitFiles(folder)
  const frames: Frame[] = []
  let { lsn, sequence } = point
  let previous: Uint8Array = point.checksum
  let durableLsn = lsn
  const visited = new Set<LogFile>()
  let current = -1
  let position = 0
  let isClosed = false
  for (;;) {
    const next = files.findLastIndex((file, index) => index > current && continues(frameAt(file.bytes, 0), lsn, previous))
    if (next >= 0) {
      current = next
      position = 0
    }
    const file = files[current]
    if (file !== undefined) visited.add(file)
    const frame = file === undefined ? undefined : frameAt(file.bytes, position)
    if (frame === undefined || !continues(frame, lsn, previous)) break
    durableLsn = Math.max(durableLsn, frame.durableLsn)
    sequence = Math.max(sequence, frame.sequence)
    if (frame.closing) {
      isClosed = true
      durableLsn = lsn
      break
    }
    frames.push(frame)
    lsn += aligned(frame.size)
    previous = frame.checksum
    position += aligned(frame.size)
  }
  const broken = isClosed ? undefined : files[current]
  const others = files.filter(file => !visited.has(file))
  refuseDamage(broken === undefined ? others : [broken, ...others], broken === undefined ? 0 : position, lsn)
  const entries = frames.flatMap(frame => entriesOf(folder, frame))
  return { entries, frames: frames.length, endLsn: lsn, durableLsn, sequence, isClosed }
}

function continues(frame: Frame | undefined, lsn: number, previous: Uint8Array): boolean {
  return frame !== undefined && !frame.staged && frame.lsn === lsn && sameBytes(frame.previous, previous)
}

function commitFiles(folder: string): LogFile[] {
  return readdirSync(folder)
    .filter(name => /^commit-\d{10,}\.log$/.test(name))
    .map(name => ({ name, number: Number(name.slice(7, -4)), bytes: readFileSync(`${folder}/${name}`) }))
    .sort((left, right) => left.number - right.number)
}

/** Steps 4 and 5; the first file is looked at from `position` on. */
function refuseDamage(files: readonly LogFile[], position: number, endLsn: number): void {
  for (const [index, file] of files.entries()) {
    for (let at = index === 0 ? position : 0; at < file.bytes.length; at += 512) {
      const frame = frameAt(file.bytes, at)
      if (frame !== undefined && frame.lsn > endLsn && frame.durableLsn > endLsn)
        throw new Damage(`${file.name}: the frame with LSN ${frame.lsn} knows that LSN ${endLsn} was on the disk`)
    }
  }
}

function entriesOf(folder: string, frame: Frame, lsn: number = frame.lsn): Entry[] {
  const cursor = new Cursor(frame.bytes, frame.entriesAt, frame.end)
  const entries: Entry[] = []
  for (let i = 0; i < frame.entryCount; i++) {
    const kind = cursor.u8()
    const flags = cursor.u8()
    const extensionSize = cursor.u16()
    const logId = cursor.u32()
    const size = cursor.u32()
    const at = cursor.skip(extensionSize)
    extensions(frame.bytes, at, at + extensionSize)
    if (kind < 1 || kind > 5 || flags > 3) throw new Newer(`entry kind ${kind}, flags ${flags}`)
    const body = cursor.take(size)
    if (kind === 5) entries.push(...stagedEntries(folder, body, lsn))
    else entries.push({ lsn, kind, checksumOpen: (flags & 1) !== 0, carried: (flags & 2) !== 0, logId, body })
  }
  check(cursor.done, 'bytes behind the last entry of a frame')
  return entries
}

function stagedEntries(folder: string, body: Buffer, lsn: number): Entry[] {
  const cursor = new Cursor(body)
  const name = `staged-${String(cursor.u32()).padStart(10, '0')}.log`
  cursor.zeros(4)
  const size = cursor.u64()
  const sum = cursor.take(8)
  check(cursor.done, 'a commit record of another size')
  const frame = frameAt(readFileSync(`${folder}/${name}`), 0)
  check(frame?.staged === true && frame.size === size && sameBytes(frame.checksum, sum), `${name} does not match its commit record`)
  return entriesOf(folder, frame, lsn)
}

/**
 * The worked examples of docs/FORMAT.md, section 14: bytes from the engine's own writers, cut into annotated lines.
 *
 * `workedExamples` gives the text; `format-document.test.ts` holds the page against it, or writes it there when UPDATE_FORMAT is set. The
 * annotations name every byte: a field that is forgotten or too long fails.
 */
import { RecordBatchWriter } from '../../../engine/batch/record-batch-writer.ts'
import { StoreBatchWriter } from '../../../engine/batch/store-batch.ts'
import { loadChecksums } from '../../../engine/codec/xxh64.ts'
import {
  ENTRY_FLAG_CHECKSUM_OPEN,
  ENTRY_STORE_BATCH,
  ENTRY_TOPIC_BATCH,
  FRAME_ALIGNMENT,
  FRAME_HEADER_BYTES,
} from '../../../engine/commit-log/format.ts'
import { sealFrame, writeEntryHeader } from '../../../engine/commit-log/frame.ts'
import { PART_RUN, PART_TOPIC } from '../../../engine/segment/format.ts'
import { SegmentWriter } from '../../../engine/segment/writer.ts'
import { MemoryFiles } from '../../unit/engine/segment/memory-files.ts'

const text = new TextEncoder()
const createdMs = 1_700_000_000_000

/** Bytes cut into lines, one call of `field` each. */
class Annotation {
  readonly lines: string[] = []
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  title(what: string): void {
    this.lines.push(`      -- ${what}`)
  }

  field(size: number, meaning: string): void {
    const bytes = this.#bytes.subarray(this.#at, this.#at + size)
    if (bytes.length !== size) throw new Error(`the example ends inside: ${meaning}`)
    const shown =
      Buffer.from(bytes.subarray(0, 16))
        .toString('hex')
        .replace(/..(?=.)/g, '$& ') + (size > 16 ? ' …' : '')
    this.lines.push(`${String(this.#at).padStart(4)}  ${shown.padEnd(50)}${meaning}`)
    this.#at += size
  }

  /** Bytes that are all zero. */
  zeros(size: number, meaning: string): void {
    if (this.#bytes.subarray(this.#at, this.#at + size).some(byte => byte !== 0)) throw new Error(`not zeros: ${meaning}`)
    this.lines.push(`${String(this.#at).padStart(4)}  ${'00 …'.padEnd(50)}${meaning}`)
    this.#at += size
  }

  end(): string[] {
    if (this.#at !== this.#bytes.length) throw new Error(`the example goes on behind byte ${this.#at}`)
    return this.lines
  }
}

function topicBatch(target: Uint8Array, position: number, baseOffset: number, epoch: number, isCrcFilled: boolean): number {
  const writer = new RecordBatchWriter()
  writer.begin(target, position, target.length, baseOffset, epoch)
  writer.add(text.encode('k'), text.encode('v'), 1000)
  return isCrcFilled ? writer.endWithCrc() : writer.end()
}

function annotateTopicBatch(lines: Annotation, baseOffset: number, crc: string): void {
  lines.field(12, `base offset ${baseOffset}, length 58; big-endian from here`)
  lines.field(5, 'leader epoch 1, magic 2')
  lines.field(4, crc)
  lines.field(6, 'attributes 0, last offset delta 0')
  lines.field(16, 'base timestamp 1000, largest timestamp 1000')
  lines.field(14, 'producer id -1, producer epoch -1, base sequence -1')
  lines.field(4, '1 record')
  lines.field(9, "length 8, attributes, two deltas, key 'k', value 'v', 0 headers")
}

/** Two frames: a topic batch in the first, a store batch in the second. */
function commitLogExample(): string[] {
  const bytes = new Uint8Array(2 * FRAME_ALIGNMENT)
  const view = new DataView(bytes.buffer)
  const tag = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])
  const facts = { flags: 0, entryCount: 1, tag, durableLsn: 0, time: createdMs }
  let body = FRAME_HEADER_BYTES + 12
  let end = topicBatch(bytes, body, 0, 1, false)
  writeEntryHeader(view, FRAME_HEADER_BYTES, ENTRY_TOPIC_BATCH, ENTRY_FLAG_CHECKSUM_OPEN, 1, end - body)
  sealFrame({ bytes, view }, 0, end, { ...facts, lsn: 0, previousChecksum: new Uint8Array(8), sequence: 2 })
  const firstEnd = end

  body = FRAME_ALIGNMENT + FRAME_HEADER_BYTES + 12
  const writer = new StoreBatchWriter()
  writer.begin(bytes, body, { baseOffset: 7, baseSequence: 2, timestamp: createdMs, epoch: 0 })
  writer.add(0, text.encode('a'), 0, 1, text.encode('1'), 0, 1, createdMs + 1)
  writer.add(1, text.encode('b'), 0, 1, new Uint8Array(0), 0, 0, 0, { ms: 1000, counter: 2, node: 3 })
  end = writer.finish()
  writeEntryHeader(view, FRAME_ALIGNMENT + FRAME_HEADER_BYTES, ENTRY_STORE_BATCH, ENTRY_FLAG_CHECKSUM_OPEN, 2, end - body)
  sealFrame({ bytes, view }, FRAME_ALIGNMENT, end, {
    ...facts,
    lsn: FRAME_ALIGNMENT,
    durableLsn: FRAME_ALIGNMENT,
    previousChecksum: bytes.slice(0, 8),
    sequence: 4,
  })

  const lines = new Annotation(bytes)
  const header = (size: number, lsn: number, previous: string, sequence: number): void => {
    lines.field(8, `checksum of bytes ${lsn + 8}..${lsn + size - 1}`)
    lines.field(8, "'VFRM', version 1, flags 0, header size 72")
    lines.field(8, `size ${size}, 1 entry`)
    lines.field(8, 'tag')
    lines.field(16, `LSN ${lsn}, durable LSN ${lsn}`)
    lines.field(8, previous)
    lines.field(16, `commit sequence ${sequence}, time ${createdMs}`)
  }
  lines.title('frame')
  header(firstEnd, 0, 'no frame before', 2)
  lines.field(12, 'entry: topic batch, checksum open, no extensions, log 1, 70 bytes')
  annotateTopicBatch(lines, 0, 'CRC-32C: open')
  lines.zeros(FRAME_ALIGNMENT - firstEnd, 'padding, under no checksum')
  lines.title('frame')
  header(end - FRAME_ALIGNMENT, FRAME_ALIGNMENT, 'checksum of the frame before', 4)
  lines.field(12, `entry: store batch, checksum open, no extensions, log 2, ${end - body} bytes`)
  lines.field(8, `size ${end - body}, version 1, codec 0, flags 0: checksum open`)
  lines.field(16, 'base offset 7, base sequence 2')
  lines.field(16, `time ${createdMs}, leader epoch 0, 2 records`)
  lines.field(16, 'checksum: open; header size 56, zeros')
  lines.field(12, "length 11, flags: put, expiry; sequence 2, expiry in 6 bytes, key 'a', value '1'")
  lines.field(17, "length 16, flags: delete, version; sequence 3, ms 1000, counter 2, node 3, key 'b'")
  lines.zeros(2 * FRAME_ALIGNMENT - end, 'padding')
  return lines.end()
}

/** A run of two records and a topic part of one batch. */
function segmentExample(): string[] {
  const files = new MemoryFiles()
  const writer = new SegmentWriter(files.openSync('example.seg', 'create'), {
    segmentId: 7,
    databaseId: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]),
    editId: 9,
    createdMs,
  })
  const batch = new Uint8Array(128)
  writer.beginPart({ logId: 3, name: 'orders', kind: 1, type: PART_TOPIC })
  writer.addBatches(batch, 0, topicBatch(batch, 0, 10, 1, true))
  writer.endPart()
  writer.beginPart({ logId: 2, name: 'users', kind: 2, type: PART_RUN, level: 1, firstOffset: 0, endOffset: 2 })
  const put = Uint8Array.from([5, 0, 5, 1, 0x61, 0x31])
  const remove = Uint8Array.from([4, 1, 4, 1, 0x62])
  writer.addRecord(put, 0, put.length)
  writer.addRecord(remove, 0, remove.length)
  writer.endPart()
  const { bytes: size } = writer.finish({ replaced: [{ segmentId: 6, part: 0 }] })
  const bytes = new Uint8Array(size)
  files.openSync('example.seg', 'read').readSync(bytes, 0)
  const lines = new Annotation(bytes)
  annotateSegment(lines)
  return lines.end()
}

function annotateSegment(lines: Annotation): void {
  lines.title('header')
  lines.field(16, "'VARVESEG', version 1, flags 0, 64 bytes")
  lines.field(16, 'segment 7, database id')
  lines.field(16, `edit 9, created ${createdMs}`)
  lines.field(16, 'zeros, checksum of bytes 0..55')
  lines.title('body of the topic part (log 3): one block of one batch')
  annotateTopicBatch(lines, 10, 'CRC-32C of bytes 85..133')
  lines.title('body of the run (log 2): one block, two records, their positions')
  lines.field(6, "record: 5 bytes follow, put, sequence 5, key 'a', value '1'")
  lines.field(5, "record: 4 bytes follow, delete, sequence 4, key 'b'")
  lines.field(12, 'record 0 at 0, record 1 at 6, 2 records')
  lines.title('index section of the topic part')
  lines.field(8, '1 block, no keys')
  lines.field(16, 'block: base offset 10, end offset 11')
  lines.field(16, 'at 0 of the body, 70 bytes, 1 batch')
  lines.field(16, 'largest timestamp 1000, checksum of the block')
  lines.field(14, 'table 2 (epochs), 12 bytes: epoch 1 begins at offset 10')
  lines.field(2, 'table 20 (block statistics), 24 bytes')
  lines.field(24, 'timestamps 1000 to 1000, 1 record, zero')
  lines.title('index section of the run')
  lines.field(8, '1 block, 1 byte of keys')
  lines.field(16, 'block: at 0 of the body, 23 bytes, 2 records')
  lines.field(16, 'checksum of the block, first key at 0, of 1 byte')
  lines.field(1, "keys: 'a'")
  lines.field(2, 'table 8 (statistics), 88 bytes')
  lines.field(16, '1 put, 1 delete')
  lines.field(16, 'no range deletes, no pointers')
  lines.field(16, 'no expiries')
  lines.field(24, 'no versions')
  lines.field(16, 'no record with an expiry, none with a version')
  lines.field(3, "table 10 (largest key), 1 byte: 'b'")
  lines.field(2, 'table 12 (filter), 76 bytes')
  lines.field(12, 'kind 1, 6 probes, zeros, 1 block, 2 keys')
  lines.field(16, 'its 512 bits:')
  for (let i = 0; i < 3; i++) lines.field(16, '')
  lines.title('directory, part 0: the run')
  annotateDirectoryEntry(
    lines,
    ['log 2, run, level 1, no flags', 'body at 134, 23 bytes', 'offsets 0 to 2', '2 records'],
    'timestamps unknown',
    ['sequences 4 to 5', 'index section at 253, 212 bytes, 1 block', '0 batches, zeros'],
  )
  lines.title('directory, part 1: the topic part')
  annotateDirectoryEntry(
    lines,
    ['log 3, topic, level 0, no flags', 'body at 64, 70 bytes', 'offsets 10 to 11', '1 record'],
    'timestamps 1000 to 1000',
    ['no sequences', 'index section at 157, 96 bytes, 1 block', '1 batch, zeros'],
  )
  lines.title('footer')
  lines.field(16, 'segment 7, edit 9')
  lines.field(8, 'output 0 of 1')
  lines.field(16, 'directory at 465, 2 parts, 1 replaced part')
  lines.field(8, 'checksum of the directory')
  lines.field(8, '2 names, zeros')
  lines.field(12, 'replaced: segment 6, part 0')
  lines.field(13, "name: log 2, kind 2, zero, 5 bytes, 'users'")
  lines.field(14, "name: log 3, kind 1, zero, 6 bytes, 'orders'")
  lines.title('trailer')
  lines.field(16, 'footer at 689, 95 bytes, version 1, flags 0')
  lines.field(8, 'checksum of the footer')
  lines.field(8, 'checksum of bytes 784..807')
  lines.field(8, "'VARVEEND'")
}

function annotateDirectoryEntry(lines: Annotation, first: readonly string[], times: string, rest: readonly string[]): void {
  const [kind = '', body = '', offsets = '', records = ''] = first
  const [sequences = '', index = '', batches = ''] = rest
  lines.field(8, kind)
  lines.field(16, body)
  lines.field(16, offsets)
  lines.field(8, records)
  lines.field(16, times)
  lines.field(16, sequences)
  lines.field(16, index)
  lines.field(8, 'checksum of the index section')
  lines.field(8, batches)
}

/** The text between the markers of docs/FORMAT.md. */
export async function workedExamples(): Promise<string> {
  await loadChecksums()
  return [
    'A commit-log file with two frames.',
    '',
    '```',
    ...commitLogExample(),
    '```',
    '',
    'A segment with two parts. Its edit, 9, replaced part 0 of segment 6.',
    '',
    '```',
    ...segmentExample(),
    '```',
  ]
    .map(line => line.trimEnd())
    .join('\n')
}

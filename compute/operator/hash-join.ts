/**
 * A join by hash: takes the right rows into a table by key, then lets the left rows pass and gives the pairs of equal keys, left rows in their order, of each its right rows in theirs.
 * Keys that are null, or of which a part is null, equal none.
 *
 * 1. `right` receives first: keys are numbered (`GroupTable`), rows are kept as the columns that are wanted, as values only if these are. When it ends, rows are put together by
 *    group: those of group g are `members[starts[g], starts[g + 1])`.
 * 2. `left` receives then: pairs go on in chunks, which compute a field of both sides when it is asked for (`JoinedRows`).
 * 3. When it ends, right rows whose group was never met follow, for 'right' and 'full'.
 *
 * 'semi' and 'anti' keep keys alone, and left rows go on as they are.
 *
 * Where the right rows do not fit into memory, both sides are divided by key (`key-spill.ts`), and each bucket is joined by itself: then left rows keep their order within a bucket only. Right rows
 * of one key cannot be divided: then the left ones pass several times, over a part of the right ones each (a block nested loop), and pairs of a left row are not together.
 */
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GroupTable } from '../group/group-table.ts'
import { PackedTexts } from '../group/packed-texts.ts'
import type { JoinKind } from '../plan/node.ts'
import { ColumnRows, ValueRows } from '../rows/chunk-data.ts'
import { JoinedRows, type KeptRows } from '../rows/joined-rows.ts'
import type { Needs } from '../source/source.ts'
import { CHUNK_ROWS, Chunk, type ChunkData } from '../vector/chunk.ts'
import { Column, gatherVector, VALUE_BYTES } from '../vector/column.ts'
import { nullVector, type Vector } from '../vector/vector.ts'
import { vectorOf } from '../vector/vector-builder.ts'
import type { OperatorContext } from './context.ts'
import { byBucket, deeper, KeySpill, runThrough, spilledKeys, Unfinished } from './key-spill.ts'
import { type Receiver, Stage, sendAll } from './receiver.ts'

export interface JoinShape {
  readonly how: JoinKind
  readonly leftKeys: readonly ExpressionNode[]
  readonly rightKeys: readonly ExpressionNode[]
  /** What a pair becomes; undefined: both rows as one. */
  readonly combine: ((left: unknown, right: unknown) => unknown) | undefined
}

/** What a join's two inputs send to. */
export interface JoinReceivers {
  /** Ends before `left` begins. */
  readonly right: Receiver
  readonly left: Receiver
}

/** `needs`: what is wanted of the joined rows; `leftNeeds`: of the left rows for that. */
export function hashJoin(shape: JoinShape, needs: Needs, leftNeeds: Needs, context: OperatorContext, next: Receiver): JoinReceivers {
  const right = new RightRows(shape, needs, context, next)
  return { right, left: new LeftRows(shape, needs, leftNeeds, right, context, next) }
}

class RightRows implements Receiver, KeptRows {
  readonly columns: ReadonlyMap<string, Column>
  readonly values: unknown[] = []
  table: GroupTable
  /** Of each group, where its rows begin in `members`; one more than there are groups. */
  starts: Int32Array = new Int32Array(1)
  members: Int32Array = new Int32Array(0)
  /** Whether no group has more than one row. */
  isUnique = false
  /** Whether the row of a group has the group's number. */
  isByGroup = false
  /** Rows kept. */
  size = 0
  /** Once rows did not fit into memory: all of them, and nothing is kept here. */
  spill: KeySpill | undefined
  #spilling: Receiver | undefined
  readonly #keys: readonly ExpressionNode[]
  readonly #context: OperatorContext
  readonly #next: Receiver
  readonly #keepsRows: boolean
  readonly #keepsNulls: boolean
  readonly #keepsValues: boolean
  /** Columns of texts of which few are different; once all rows have come. */
  readonly #packed = new Map<string, PackedTexts>()
  /** Group of each row kept; -1: a key that equals none. */
  groups: Int32Array = new Int32Array(0)

  constructor({ how, rightKeys, combine }: JoinShape, needs: Needs, context: OperatorContext, next: Receiver) {
    this.#keys = rightKeys
    this.#context = context
    this.#next = next
    this.table = new GroupTable(rightKeys.length)
    this.#keepsRows = how !== 'semi' && how !== 'anti'
    this.#keepsNulls = how === 'right' || how === 'full'
    this.#keepsValues = needs.values || combine !== undefined
    const wanted = needs.paths.filter(path => path !== '' && !path.startsWith('@'))
    this.columns = new Map(wanted.map(path => [path, new Column()]))
  }

  get isSated(): boolean {
    return this.#next.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    if (this.#spilling !== undefined) return this.#spilling.receive(chunk)
    this.keep(chunk)
    if (this.isFull) this.#startSpilling()
    return undefined
  }

  get isFull(): boolean {
    return this.#bytes > this.#context.memoryBytesMax / 2
  }

  /** Held, about. */
  get #bytes(): number {
    let bytes = this.table.bytes + this.groups.byteLength + VALUE_BYTES * this.values.length
    for (const column of this.columns.values()) bytes += column.bytes
    return bytes
  }

  /** Keeps rows, however many there are. */
  keep(chunk: Chunk): void {
    const { rows, count } = chunk
    const keys = this.#keys.map(key => evaluate(key, chunk))
    const whole = wholeKeys(keys, rows, count)
    const groups = new Int32Array(whole.length)
    this.table.assign(keys, whole, whole.length, groups)
    if (!this.#keepsRows) return
    this.#keepRows(chunk, whole, groups)
    if (!this.#keepsNulls || whole.length === count) return
    const known = new Set(whole)
    const others = rows.subarray(0, count).filter(row => !known.has(row))
    this.#keepRows(chunk, others, new Int32Array(others.length).fill(-1))
  }

  /** Rows that were kept, and all that come, go into buckets. */
  #startSpilling(): void {
    const needs: Needs = { paths: [...this.columns.keys()], values: this.#keepsValues && this.#keepsRows }
    const spill = new KeySpill(this.#keys.length, needs, this.#context)
    const keys = this.table.keys()
    // Of joins that keep no rows, each key once.
    const count = this.#keepsRows ? this.size : this.table.size
    for (let from = 0; from < count; from += CHUNK_ROWS) {
      const size = Math.min(CHUNK_ROWS, count - from)
      const rows = Int32Array.from({ length: size }, (_, i) => from + i)
      const groups = this.#keepsRows ? this.groups.subarray(from, from + size) : rows
      const vectors = keys.map(key => gatherVector(key, groups, size))
      for (const column of this.columns.values()) vectors.push(this.#keepsRows ? column.gather(rows, size) : nullVector(size))
      if (needs.values) vectors.push(vectorOf(this.values.slice(from, from + size)))
      spill.receive(new Chunk(new ColumnRows(size, spill.columns, vectors)))
    }
    this.spill = spill
    this.#spilling = spill.rows(this.#keys)
    this.table = new GroupTable(this.#keys.length)
    for (const column of this.columns.values()) column.release()
    this.values.length = 0
    this.groups = new Int32Array(0)
    this.size = 0
  }

  gather(path: string, rows: Int32Array, count: number): Vector | undefined {
    return (this.#packed.get(path) ?? this.columns.get(path))?.gather(rows, count)
  }

  /** Marks the rows of a chunk whose key is there, row k as `met[before + k]`. */
  markMet(keys: readonly ExpressionNode[], chunk: Chunk, met: Uint8Array, before: number): void {
    const { rows, count } = chunk
    const groups = new Int32Array(count)
    this.table.find(
      keys.map(key => evaluate(key, chunk)),
      rows,
      count,
      groups,
    )
    for (let k = 0; k < count; k++) if ((groups[k] as number) >= 0) met[before + k] = 1
  }

  finish(): void {
    if (this.spill !== undefined) return
    this.table.seal()
    for (const [path, column] of this.columns) {
      const vector = column.vector()
      const packed = vector.kind === 'text' ? PackedTexts.of(vector, column.size) : undefined
      if (packed !== undefined) this.#packed.set(path, packed)
    }
    const { groups, size } = this
    const starts = new Int32Array(this.table.size + 1)
    for (let row = 0; row < size; row++) if ((groups[row] as number) >= 0) (starts[(groups[row] as number) + 1] as number)++
    for (let group = 0; group < this.table.size; group++) starts[group + 1] = (starts[group + 1] as number) + (starts[group] as number)
    const members = new Int32Array(starts[this.table.size] as number)
    const filled = starts.slice()
    for (let row = 0; row < size; row++) {
      const group = groups[row] as number
      if (group >= 0) members[(filled[group] as number)++] = row
    }
    this.starts = starts
    this.members = members
    this.isUnique = members.length === this.table.size
    // Groups are numbered in the order in which they come.
    this.isByGroup = this.isUnique && size === this.table.size
  }

  #keepRows({ data }: Chunk, rows: Int32Array, groups: Int32Array): void {
    const { size } = this
    const count = rows.length
    if (size + count > this.groups.length) {
      const grown = new Int32Array(Math.max(size + count, 2 * size, CHUNK_ROWS))
      grown.set(this.groups.subarray(0, size))
      this.groups = grown
    }
    this.groups.set(groups, size)
    for (const [path, column] of this.columns) column.append(data.field(path), rows, 0, count)
    if (this.#keepsValues) for (let k = 0; k < count; k++) this.values.push(data.value(rows[k] as number))
    this.size = size + count
  }
}

class LeftRows extends Stage {
  readonly #shape: JoinShape
  readonly #needs: Needs
  readonly #leftNeeds: Needs
  readonly #right: RightRows
  readonly #context: OperatorContext
  /** Where the right rows are in buckets: the left ones, too. */
  #spill: KeySpill | undefined
  #spilling: Receiver | undefined
  #groups = new Int32Array(CHUNK_ROWS)
  /** Of the chunk that was passed last, the right rows by left row, and the left rows. */
  #rights = new Int32Array(CHUNK_ROWS)
  #kept = new Int32Array(CHUNK_ROWS)
  /** By group of the right rows, 1: some left row was of it. Only for joins that ask. */
  #met: Uint8Array | undefined

  constructor(shape: JoinShape, needs: Needs, leftNeeds: Needs, right: RightRows, context: OperatorContext, next: Receiver) {
    super(next)
    this.#shape = shape
    this.#needs = needs
    this.#leftNeeds = leftNeeds
    this.#context = context
    this.#right = right
  }

  override get isSated(): boolean {
    const { how } = this.#shape
    const { spill, table } = this.#right
    const nothingToMeet = spill === undefined && table.size === 0 && (how === 'inner' || how === 'semi' || how === 'right')
    return nothingToMeet || this.next.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
    if (this.#right.spill !== undefined) return this.#spillingLeft().receive(chunk)
    const { rows, count } = chunk
    if (this.#groups.length < count) this.#groups = new Int32Array(count)
    const keys = this.#shape.leftKeys.map(key => evaluate(key, chunk))
    this.#right.table.find(keys, rows, count, this.#groups)
    const { how } = this.#shape
    if (how === 'semi' || how === 'anti') return this.#passWhere(chunk, how === 'semi')
    if (this.#right.isUnique && this.#shape.combine === undefined) return this.#passPairs(chunk)
    return sendAll(this.#pairs(chunk), this.next)
  }

  override finish(): void | Promise<void> {
    if (this.#right.spill !== undefined) return this.#joinBuckets(this.#right.spill)
    const { how } = this.#shape
    if (how !== 'right' && how !== 'full') return this.next.finish()
    const sent = sendAll(this.#unmet(), this.next)
    return sent === undefined ? this.next.finish() : sent.then(() => this.next.finish())
  }

  #spillingLeft(): Receiver {
    if (this.#spilling === undefined) {
      this.#spill = new KeySpill(this.#shape.leftKeys.length, this.#leftNeeds, this.#context)
      this.#spilling = this.#spill.rows(this.#shape.leftKeys)
    }
    return this.#spilling
  }

  async #joinBuckets(right: KeySpill): Promise<void> {
    this.#spillingLeft()
    const left = this.#spill as KeySpill
    const keys = spilledKeys(this.#shape.leftKeys.length)
    const shape = { ...this.#shape, leftKeys: keys, rightKeys: keys }
    const { how } = shape
    // 'semi' and 'anti' keep each key once.
    if (right.isIndivisible && how !== 'semi' && how !== 'anti') await this.#joinParts(shape, left, right)
    else {
      await byBucket(this.next, async bucket => {
        const join = hashJoin(shape, this.#needs, this.#leftNeeds, deeper(this.#context), new Unfinished(this.next))
        await runThrough(right.bucket(bucket), join.right)
        await runThrough(left.bucket(bucket), join.left)
      })
    }
    await this.next.finish()
  }

  /** All left rows with a part of the right rows after the other, each as much as memory holds. */
  async #joinParts(shape: JoinShape, left: KeySpill, right: KeySpill): Promise<void> {
    const { how } = shape
    const keepsLeft = how === 'left' || how === 'full'
    // Which left rows have no partner is known at the end.
    const ofPart: JoinShape = { ...shape, how: how === 'left' ? 'inner' : how === 'full' ? 'right' : how }
    const met = new Uint8Array(keepsLeft ? left.rowCount : 0)
    const next = new Unfinished(this.next)
    const joinPart = async (part: RightRows): Promise<void> => {
      part.finish()
      const pairs = new LeftRows(ofPart, this.#needs, this.#leftNeeds, part, this.#context, next)
      let before = 0
      for (const chunk of left.all()) {
        if (this.next.isSated) return
        if (keepsLeft) part.markMet(shape.leftKeys, chunk, met, before)
        before += chunk.count
        await pairs.receive(chunk)
      }
      await pairs.finish()
    }
    let part: RightRows | undefined
    for (const chunk of right.all()) {
      part ??= new RightRows(ofPart, this.#needs, this.#context, next)
      part.keep(chunk)
      if (!part.isFull) continue
      await joinPart(part)
      part = undefined
      if (this.next.isSated) return
    }
    if (part !== undefined) await joinPart(part)
    if (keepsLeft) await this.#passUnmet(shape, left, met)
  }

  /** Left rows without a partner, by their number. */
  async #passUnmet(shape: JoinShape, left: KeySpill, met: Uint8Array): Promise<void> {
    const none = new RightRows(shape, this.#needs, this.#context, this.next)
    none.finish()
    const alone = new LeftRows({ ...shape, how: 'left' }, this.#needs, this.#leftNeeds, none, this.#context, this.next)
    let before = 0
    for (const { data, rows, count } of left.all()) {
      if (this.next.isSated) return
      const unmet = rows.subarray(0, count).filter((_, k) => met[before + k] === 0)
      before += count
      if (unmet.length > 0) await alone.receive(new Chunk(data, unmet, unmet.length))
    }
  }

  #passWhere({ data, rows, count }: Chunk, isMet: boolean): void | Promise<void> {
    const kept = new Int32Array(count)
    let found = 0
    for (let k = 0; k < count; k++) if ((this.#groups[k] as number) >= 0 === isMet) kept[found++] = rows[k] as number
    return found === 0 ? undefined : this.next.receive(new Chunk(data, kept, found))
  }

  /** Where a left row has one right row at most: the left rows as they are, with the fields of the right ones beside their own. */
  #passPairs({ data, rows, count }: Chunk): void | Promise<void> {
    const { how } = this.#shape
    const { members, table, isByGroup } = this.#right
    const keepsLeft = how === 'left' || how === 'full'
    if (how === 'right' || how === 'full') this.#met ??= new Uint8Array(table.size)
    const met = this.#met
    const groups = this.#groups
    if (this.#rights.length < data.size) {
      this.#rights = new Int32Array(data.size)
      this.#kept = new Int32Array(data.size)
    }
    const rights = this.#rights.fill(-1, 0, data.size)
    const kept = this.#kept
    let found = 0
    for (let k = 0; k < count; k++) {
      const group = groups[k] as number
      const row = rows[k] as number
      kept[found] = row
      if (group >= 0) {
        rights[row] = isByGroup ? group : (members[group] as number)
        if (met !== undefined) met[group] = 1
        found++
      } else if (keepsLeft) found++
    }
    return found === 0
      ? undefined
      : this.next.receive(new Chunk(new JoinedRows(data.size, data, undefined, this.#right, rights), kept, found))
  }

  *#pairs({ data, rows, count }: Chunk): Generator<Chunk> {
    const { how } = this.#shape
    const { starts, members, table } = this.#right
    const keepsLeft = how === 'left' || how === 'full'
    if (how === 'right' || how === 'full') this.#met ??= new Uint8Array(table.size)
    const met = this.#met
    const groups = this.#groups
    let [lefts, rights] = [new Int32Array(CHUNK_ROWS), new Int32Array(CHUNK_ROWS)]
    let size = 0
    for (let k = 0; k < count; k++) {
      const group = groups[k] as number
      if (group < 0 && !keepsLeft) continue
      if (group >= 0 && met !== undefined) met[group] = 1
      const end = group < 0 ? 1 : (starts[group + 1] as number)
      for (let m = group < 0 ? 0 : (starts[group] as number); m < end; m++) {
        lefts[size] = rows[k] as number
        rights[size++] = group < 0 ? -1 : (members[m] as number)
        if (size < CHUNK_ROWS) continue
        yield this.#chunk(size, data, lefts, rights)
        ;[lefts, rights] = [new Int32Array(CHUNK_ROWS), new Int32Array(CHUNK_ROWS)]
        size = 0
      }
    }
    if (size > 0) yield this.#chunk(size, data, lefts, rights)
  }

  /** Right rows that no left row met. */
  *#unmet(): Generator<Chunk> {
    const { groups, size } = this.#right
    const none = new ValueRows([])
    let rights: number[] = []
    for (let row = 0; row < size; row++) {
      const group = groups[row] as number
      if (group >= 0 && this.#met?.[group] === 1) continue
      rights.push(row)
      if (rights.length === CHUNK_ROWS) {
        yield this.#chunk(CHUNK_ROWS, none, new Int32Array(CHUNK_ROWS).fill(-1), Int32Array.from(rights))
        rights = []
      }
    }
    const count = rights.length
    if (count > 0) yield this.#chunk(count, none, new Int32Array(count).fill(-1), Int32Array.from(rights))
  }

  #chunk(size: number, left: ChunkData, lefts: Int32Array, rights: Int32Array): Chunk {
    const { combine } = this.#shape
    if (combine === undefined) return new Chunk(new JoinedRows(size, left, lefts, this.#right, rights))
    const { values } = this.#right
    const results = new Array<unknown>(size)
    for (let i = 0; i < size; i++) {
      const [l, r] = [lefts[i] as number, rights[i] as number]
      results[i] = combine(l < 0 ? null : left.value(l), r < 0 ? null : values[r])
    }
    return new Chunk(new ValueRows(results))
  }
}

/** Rows in which no part of the key is null. */
function wholeKeys(keys: readonly Vector[], rows: Int32Array, count: number): Int32Array {
  const whole = new Int32Array(count)
  let found = 0
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number
    whole[found] = row
    let isWhole = true
    for (let i = 0; i < keys.length; i++) if ((keys[i] as Vector).isNull(row)) isWhole = false
    if (isWhole) found++
  }
  return whole.subarray(0, found)
}

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
 */
import { evaluate } from '../expression/evaluate.ts'
import type { ExpressionNode } from '../expression/node.ts'
import { GroupTable } from '../group/group-table.ts'
import type { JoinKind } from '../plan/node.ts'
import { ValueRows } from '../rows/chunk-data.ts'
import { JoinedRows, type KeptRows } from '../rows/joined-rows.ts'
import type { Needs } from '../source/source.ts'
import { CHUNK_ROWS, Chunk, type ChunkData } from '../vector/chunk.ts'
import { Column } from '../vector/column.ts'
import type { Vector } from '../vector/vector.ts'
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

/** `needs`: what is wanted of the joined rows. */
export function hashJoin(shape: JoinShape, needs: Needs, next: Receiver): JoinReceivers {
  const right = new RightRows(shape, needs, next)
  return { right, left: new LeftRows(shape, right, next) }
}

class RightRows implements Receiver, KeptRows {
  readonly columns: ReadonlyMap<string, Column>
  readonly values: unknown[] = []
  readonly table: GroupTable
  /** Of each group, where its rows begin in `members`; one more than there are groups. */
  starts: Int32Array = new Int32Array(1)
  members: Int32Array = new Int32Array(0)
  /** Whether no group has more than one row. */
  isUnique = false
  /** Rows kept. */
  size = 0
  readonly #keys: readonly ExpressionNode[]
  readonly #next: Receiver
  readonly #keepsRows: boolean
  readonly #keepsNulls: boolean
  readonly #keepsValues: boolean
  /** Group of each row kept; -1: a key that equals none. */
  groups: Int32Array = new Int32Array(0)

  constructor({ how, rightKeys, combine }: JoinShape, needs: Needs, next: Receiver) {
    this.#keys = rightKeys
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

  receive(chunk: Chunk): void {
    const { rows, count } = chunk
    const keys = this.#keys.map(key => evaluate(key, chunk))
    const whole = wholeKeys(keys, rows, count)
    const groups = new Int32Array(whole.length)
    this.table.assign(keys, whole, whole.length, groups)
    if (!this.#keepsRows) return
    this.#keep(chunk, whole, groups)
    if (!this.#keepsNulls || whole.length === count) return
    const known = new Set(whole)
    const others = rows.subarray(0, count).filter(row => !known.has(row))
    this.#keep(chunk, others, new Int32Array(others.length).fill(-1))
  }

  finish(): void {
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
  }

  #keep({ data }: Chunk, rows: Int32Array, groups: Int32Array): void {
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
  readonly #right: RightRows
  #groups = new Int32Array(CHUNK_ROWS)
  /** By group of the right rows, 1: some left row was of it. Only for joins that ask. */
  #met: Uint8Array | undefined

  constructor(shape: JoinShape, right: RightRows, next: Receiver) {
    super(next)
    this.#shape = shape
    this.#right = right
  }

  override get isSated(): boolean {
    const { how } = this.#shape
    const nothingToMeet = this.#right.table.size === 0 && (how === 'inner' || how === 'semi' || how === 'right')
    return nothingToMeet || this.next.isSated
  }

  receive(chunk: Chunk): void | Promise<void> {
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
    const { how } = this.#shape
    if (how !== 'right' && how !== 'full') return this.next.finish()
    const sent = sendAll(this.#unmet(), this.next)
    return sent === undefined ? this.next.finish() : sent.then(() => this.next.finish())
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
    const { members, table } = this.#right
    const keepsLeft = how === 'left' || how === 'full'
    if (how === 'right' || how === 'full') this.#met ??= new Uint8Array(table.size)
    const met = this.#met
    const groups = this.#groups
    const rights = new Int32Array(data.size).fill(-1)
    const kept = new Int32Array(count)
    let found = 0
    for (let k = 0; k < count; k++) {
      const group = groups[k] as number
      const row = rows[k] as number
      kept[found] = row
      if (group >= 0) {
        rights[row] = members[group] as number
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

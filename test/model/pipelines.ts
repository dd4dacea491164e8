/**
 * Random pipelines of flows over a store, a topic or rows at hand, beside an interpreter that does each verb naively over arrays. A pipeline of expressions alone runs in the calling
 * thread and in worker threads, with little memory and with much; one with functions in the calling thread. Rows are compared as a bag, behind a sort in order.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Aggregate,
  col,
  count,
  countDistinct,
  type Expression,
  type Flow,
  flow,
  lag,
  lit,
  max,
  min,
  rank,
  rowNumber,
  running,
  sum,
} from '../../compute/index.ts'
import { compareValues } from '../../compute/vector/value-order.ts'
import { open } from '../../index.ts'
import { makeRandom, type Random } from '../unit/engine/codec/random.ts'

type Row = Readonly<Record<string, unknown>>
type AnyExpression = Expression<unknown, string>
type AnyFlowOf = Flow<Record<string, unknown>>
type ColumnType = 'number' | 'text' | 'flag'
type Columns = Readonly<Record<string, ColumnType>>

/** What was drawn, twice: for Varve and for the interpreter. */
interface Pipeline {
  readonly flow: AnyFlowOf
  readonly rows: readonly Row[]
  readonly columns: Columns
  /** Without users' functions. */
  readonly isPortable: boolean
  readonly isSorted: boolean
  readonly text: string
}

/** An expression and what it means. */
interface Drawn {
  readonly expression: AnyExpression
  readonly of: (row: Row) => unknown
  readonly text: string
}

const texts = ['', 'a', 'b', 'Zürich', '東京', '🙂', 'long '.repeat(5)]

function drawRow(random: Random, id: number): Row {
  const row: Record<string, unknown> = { id }
  if (random.below(8) > 0) row.k = random.below(8) === 0 ? null : random.pick(texts)
  if (random.below(8) > 0) row.n = random.pick([null, Number.NaN, -0, 0, 2.5, random.below(20), -random.below(20), random.below(1e6)])
  if (random.below(8) > 0) row.b = random.pick([null, true, false])
  row.m = random.below(2000)
  return row
}

const baseColumns: Columns = { id: 'number', k: 'text', n: 'number', b: 'flag', m: 'number' }

const cellOf = (row: Row, name: string): unknown => row[name] ?? null
const namesOf = (columns: Columns, type?: ColumnType): string[] =>
  Object.keys(columns).filter(name => type === undefined || columns[name] === type)

// --- expressions -------------------------------------------------------------------------------------------------------------------------

const comparisons = {
  eq: (order: number) => order === 0,
  ne: (order: number) => order !== 0,
  lt: (order: number) => order < 0,
  lte: (order: number) => order <= 0,
  gt: (order: number) => order > 0,
  gte: (order: number) => order >= 0,
} as const

function drawLiteral(random: Random, type: ColumnType): unknown {
  if (type === 'text') return random.pick(texts)
  return type === 'flag' ? random.below(2) === 0 : random.pick([0, 1, 2.5, -3, 10, 500, 1000])
}

function drawPredicate(random: Random, columns: Columns, depth = 2): Drawn {
  const kind = depth === 0 ? 0 : random.below(6)
  if (kind === 4) {
    const [a, b] = [drawPredicate(random, columns, depth - 1), drawPredicate(random, columns, depth - 1)]
    const isAnd = random.below(2) === 0
    return {
      expression: (a.expression as Expression<boolean, string>)[isAnd ? 'and' : 'or'](b.expression as Expression<boolean, string>),
      of: row => {
        const [x, y] = [a.of(row), b.of(row)]
        if (x === !isAnd || y === !isAnd) return !isAnd
        return x === null || y === null ? null : isAnd
      },
      text: `(${a.text} ${isAnd ? 'and' : 'or'} ${b.text})`,
    }
  }
  if (kind === 5) {
    const inner = drawPredicate(random, columns, depth - 1)
    return {
      expression: (inner.expression as Expression<boolean, string>).not(),
      of: row => {
        const value = inner.of(row)
        return value === null ? null : value !== true
      },
      text: `not ${inner.text}`,
    }
  }
  const name = random.pick(namesOf(columns))
  const type = columns[name] as ColumnType
  if (kind === 3) return { expression: col(name).isNull(), of: row => cellOf(row, name) === null, text: `${name} is null` }
  if (kind === 2) {
    const list = [1, 2, 3].map(() => drawLiteral(random, type))
    return {
      expression: col(name).in(list as never[]),
      of: row => {
        const value = cellOf(row, name)
        return value === null ? null : list.some(item => compareValues(item, value) === 0)
      },
      text: `${name} in ${JSON.stringify(list)}`,
    }
  }
  const how = random.pick(Object.keys(comparisons) as (keyof typeof comparisons)[])
  const literal = drawLiteral(random, type)
  return {
    expression: col(name)[how](literal as never),
    of: row => {
      const value = cellOf(row, name)
      return value === null ? null : comparisons[how](compareValues(value, literal))
    },
    text: `${name} ${how} ${JSON.stringify(literal)}`,
  }
}

const arithmetic = { add: (a: number, b: number) => a + b, sub: (a: number, b: number) => a - b, mul: (a: number, b: number) => a * b }

function drawNumber(random: Random, columns: Columns): Drawn {
  const numbers = namesOf(columns, 'number')
  if (numbers.length === 0) return { expression: lit(7) as AnyExpression, of: () => 7, text: '7' }
  const [a, b] = [random.pick(numbers), random.pick(numbers)]
  if (random.below(4) === 0) return { expression: col(a).coalesce(-1), of: row => cellOf(row, a) ?? -1, text: `coalesce(${a}, -1)` }
  const how = random.pick(Object.keys(arithmetic) as (keyof typeof arithmetic)[])
  return {
    expression: (col(a) as Expression<number, string>)[how](col(b) as Expression<number, string>),
    of: row => {
      const [x, y] = [cellOf(row, a), cellOf(row, b)]
      return x === null || y === null ? null : arithmetic[how](x as number, y as number)
    },
    text: `${a} ${how} ${b}`,
  }
}

// --- the interpreter's parts -------------------------------------------------------------------------------------------------------------

const byColumns =
  (names: readonly string[], descending = false) =>
  (a: Row, b: Row): number => {
    for (const name of names) {
      const [x, y] = [cellOf(a, name), cellOf(b, name)]
      if (x === null || y === null) {
        if (x !== y) return x === null ? 1 : -1
        continue
      }
      const order = compareValues(x, y)
      if (order !== 0) return descending ? -order : order
    }
    return 0
  }

/** Rows by their values, in the order in which groups come. */
function grouped(rows: readonly Row[], names: readonly string[]): Row[][] {
  const order = byColumns(names)
  const sorted = [...rows].sort(order)
  const groups: Row[][] = []
  for (const row of sorted) {
    const last = groups.at(-1)
    if (last !== undefined && order(last[0] as Row, row) === 0) last.push(row)
    else groups.push([row])
  }
  return groups
}

const presentOf = (rows: readonly Row[], name: string): unknown[] => rows.map(row => cellOf(row, name)).filter(value => value !== null)
const extremeOf = (values: readonly unknown[], sign: number): unknown =>
  values.length === 0 ? null : values.reduce((a, b) => (sign * compareValues(b, a) < 0 ? b : a))

interface DrawnAggregate {
  readonly aggregate: Aggregate<unknown, string>
  readonly of: (rows: readonly Row[]) => unknown
  readonly type: ColumnType
  readonly text: string
}

function drawAggregate(random: Random, columns: Columns): DrawnAggregate {
  const any = random.pick(namesOf(columns))
  const number = random.pick(namesOf(columns, 'number'))
  const kinds: (() => DrawnAggregate)[] = [
    () => ({ aggregate: count(), of: rows => rows.length, type: 'number', text: 'count()' }),
    () => ({ aggregate: count(any), of: rows => presentOf(rows, any).length, type: 'number', text: `count(${any})` }),
    () => ({
      aggregate: countDistinct(any),
      of: rows =>
        grouped(
          rows.filter(row => cellOf(row, any) !== null),
          [any],
        ).length,
      type: 'number',
      text: `countDistinct(${any})`,
    }),
    ...[min, max].map((make, i) => () => ({
      aggregate: make(any) as Aggregate<unknown, string>,
      of: (rows: readonly Row[]) => extremeOf(presentOf(rows, any), i === 0 ? 1 : -1),
      type: columns[any] as ColumnType,
      text: `${i === 0 ? 'min' : 'max'}(${any})`,
    })),
    ...(number === undefined
      ? []
      : [
          () => ({
            aggregate: sum(number),
            of: (rows: readonly Row[]) => {
              const values = presentOf(rows, number) as number[]
              return values.length === 0 ? null : values.reduce((a, b) => a + b, 0)
            },
            type: 'number' as const,
            text: `sum(${number})`,
          }),
        ]),
  ]
  const drawn = random.pick(kinds)()
  if (random.below(4) > 0) return drawn
  const where = drawPredicate(random, columns, 0)
  return {
    ...drawn,
    aggregate: drawn.aggregate.where(where.expression),
    of: rows => drawn.of(rows.filter(row => where.of(row) === true)),
    text: `${drawn.text} where ${where.text}`,
  }
}

// --- verbs -------------------------------------------------------------------------------------------------------------------------------

type Step = (random: Random, pipeline: Pipeline, fresh: () => Pipeline) => Pipeline

function then(
  pipeline: Pipeline,
  text: string,
  next: Partial<Pipeline> & { readonly flow: Flow<never> | AnyFlowOf | Flow<Row>; readonly rows: readonly Row[] },
): Pipeline {
  return { ...pipeline, isSorted: false, ...next, flow: next.flow as AnyFlowOf, text: `${pipeline.text}\n  .${text}` }
}

function drawNames(random: Random, columns: Columns, most: number): string[] {
  const names = namesOf(columns)
  const drawn = Array.from({ length: 1 + random.below(most) }, () => random.pick(names))
  return [...new Set(drawn)]
}

const columnsOf = (columns: Columns, names: readonly string[]): Columns =>
  Object.fromEntries(names.map(name => [name, columns[name] as ColumnType]))
const picked = (row: Row, names: readonly string[]): Row => Object.fromEntries(names.map(name => [name, cellOf(row, name)]))

const steps: Record<string, Step> = {
  filter(random, p) {
    const { expression, of, text } = drawPredicate(random, p.columns)
    return then(p, `filter(${text})`, {
      flow: p.flow.filter(expression as Expression<boolean, string>),
      rows: p.rows.filter(row => of(row) === true),
      isSorted: p.isSorted,
    })
  },
  filterBy(random, p) {
    const { of, text } = drawPredicate(random, p.columns, 1)
    const test = (row: Row): boolean => of(row) === true
    return then(p, `filter(row => ${text})`, {
      flow: p.flow.filter(test),
      rows: p.rows.filter(test),
      isPortable: false,
      isSorted: p.isSorted,
    })
  },
  flatMap(random, p) {
    const times = 1 + random.below(2)
    const map = (row: Row): Row[] => Array.from({ length: times }, (_, copy) => ({ ...row, copy }))
    return then(p, `flatMap(row => ${times} copies)`, {
      flow: p.flow.flatMap(map),
      rows: p.rows.flatMap(map),
      columns: { ...p.columns, copy: 'number' },
      isPortable: false,
    })
  },
  withColumns(random, p) {
    const { expression, of, text } = drawNumber(random, p.columns)
    const name = random.below(3) === 0 ? random.pick(namesOf(p.columns)) : `c${random.below(9)}`
    return then(p, `withColumns({ ${name}: ${text} })`, {
      flow: p.flow.withColumns({ [name]: expression }),
      rows: p.rows.map(row => ({ ...row, [name]: of(row) })),
      columns: { ...p.columns, [name]: 'number' },
    })
  },
  select(random, p) {
    const names = drawNames(random, p.columns, 4)
    return then(p, `select(${names.join(', ')})`, {
      flow: p.flow.select(...names),
      rows: p.rows.map(row => picked(row, names)),
      columns: columnsOf(p.columns, names),
    })
  },
  aggregate(random, p) {
    const names = drawNames(random, p.columns, 2)
    const all = Object.fromEntries(Array.from({ length: 1 + random.below(3) }, (_, i) => [`a${i}`, drawAggregate(random, p.columns)]))
    const keys = names.filter(name => !(name in all))
    if (keys.length === 0) return p
    const aggregates = Object.fromEntries(Object.entries(all).map(([name, { aggregate }]) => [name, aggregate]))
    const resultOf = (rows: readonly Row[]): Row => Object.fromEntries(Object.entries(all).map(([name, { of }]) => [name, of(rows)]))
    const isWhole = random.below(6) === 0
    const text = Object.values(all)
      .map(({ text: each }) => each)
      .join(', ')
    const types = Object.fromEntries(Object.entries(all).map(([name, { type }]) => [name, type]))
    if (isWhole) return then(p, `aggregate(${text})`, { flow: p.flow.aggregate(aggregates), rows: [resultOf(p.rows)], columns: types })
    return then(p, `keyBy(${keys.join(', ')}).aggregate(${text})`, {
      flow: p.flow.keyBy(...(keys as [string, ...string[]])).aggregate(aggregates),
      rows: grouped(p.rows, keys).map(rows => ({ ...picked(rows[0] as Row, keys), ...resultOf(rows) })),
      columns: { ...columnsOf(p.columns, keys), ...types },
    })
  },
  distinct(_random, p) {
    return then(p, 'distinct()', {
      flow: p.flow.select(...namesOf(p.columns)).distinct(),
      rows: grouped(p.rows, namesOf(p.columns)).map(rows => picked(rows[0] as Row, namesOf(p.columns))),
    })
  },
  sortAndLimit(random, p) {
    const names = [...namesOf(p.columns)]
    for (let i = names.length - 1; i > 0; i--) {
      const j = random.below(i + 1)
      ;[names[i], names[j]] = [names[j] as string, names[i] as string]
    }
    const descending = random.below(2) === 0
    const sorted = p.flow.sort(...names.map(by => ({ by, descending })))
    const rows = [...p.rows].sort(byColumns(names, descending))
    if (random.below(2) === 0)
      return then(p, `sort(${names.join(', ')}${descending ? ', descending' : ''})`, { flow: sorted, rows, isSorted: true })
    const [most, offset] = [random.below(30), random.below(3) === 0 ? random.below(20) : 0]
    return then(p, `sort(${names.join(', ')}).limit(${most}, ${offset})`, {
      flow: sorted.limit(most, offset),
      rows: rows.slice(offset, offset + most),
      isSorted: true,
    })
  },
  union(_random, p, fresh) {
    const other = fresh()
    const names = namesOf(p.columns).filter(name => p.columns[name] === other.columns[name])
    if (names.length === 0) return p
    return then(p, `select(${names.join(', ')}).union(${other.text})`, {
      flow: p.flow.select(...names).union(other.flow.select(...names)),
      rows: [...p.rows, ...other.rows].map(row => picked(row, names)),
      columns: columnsOf(p.columns, names),
      isPortable: p.isPortable && other.isPortable,
    })
  },
  join(random, p, fresh) {
    const other = fresh()
    const key = random.pick(namesOf(p.columns))
    const type = p.columns[key] as ColumnType
    const rightKey = random.pick(namesOf(other.columns, type))
    if (rightKey === undefined || 'rk' in p.columns || 'rv' in p.columns) return p
    // One row of each key on the right at most, lest pairs of pairs fill the memory; and on the left some keys have many.
    const right = grouped(other.rows, [rightKey]).map(rows => ({ rk: cellOf(rows[0] as Row, rightKey), rv: rows.length }))
    const rightFlow = other.flow.keyBy({ rk: rightKey }).aggregate({ rv: count() })
    const how = random.pick(['inner', 'left', 'right', 'full', 'semi', 'anti'] as const)
    const hint = random.pick(['broadcast', 'shuffle', undefined] as const)
    const order = (a: unknown, b: unknown): number => compareValues(a, b)
    const sortedRight = right.filter(({ rk }) => rk !== null).sort((a, b) => order(a.rk, b.rk))
    const partnerOf = (row: Row): Row | undefined => {
      const value = cellOf(row, key)
      if (value === null) return undefined
      let [from, to] = [0, sortedRight.length]
      while (from < to) {
        const middle = (from + to) >> 1
        if (order(sortedRight[middle]?.rk, value) < 0) from = middle + 1
        else to = middle
      }
      const found = sortedRight[from]
      return found !== undefined && order(found.rk, value) === 0 ? found : undefined
    }
    const rows: Row[] = []
    const met = new Set<Row>()
    for (const row of p.rows) {
      const partner = partnerOf(row)
      if (partner !== undefined) met.add(partner)
      if (how === 'semi' || how === 'anti') {
        if ((partner !== undefined) === (how === 'semi')) rows.push(row)
      } else if (partner !== undefined) rows.push({ ...row, ...partner })
      else if (how === 'left' || how === 'full') rows.push(row)
    }
    if (how === 'right' || how === 'full') {
      const alone = right.filter(row => !met.has(row) || row.rk === null)
      rows.push(...alone)
    }
    return then(p, `join(${other.text} by ${rightKey}, on ${key}, ${how}, ${hint})`, {
      flow: p.flow.join(rightFlow as unknown as AnyFlowOf, { left: key, right: 'rk', how, hint } as never) as unknown as AnyFlowOf,
      rows,
      columns: how === 'semi' || how === 'anti' ? p.columns : { ...p.columns, rk: type, rv: 'number' },
      isPortable: p.isPortable && other.isPortable,
    })
  },
  window(random, p) {
    const [key] = drawNames(random, p.columns, 1) as [string]
    const names = namesOf(p.columns)
    const by = random.pick(names)
    const number = random.pick(namesOf(p.columns, 'number'))
    if (number === undefined || 'w1' in p.columns) return p
    // The other columns too, so that rows equal in the order are equal altogether.
    const all = [by, ...names.filter(name => name !== by)]
    const rows = grouped(p.rows, [key]).flatMap(group => {
      const sorted = [...group].sort(byColumns(all))
      let [w1, total]: [number, number | null] = [0, null]
      return sorted.map((row, i) => {
        const before = sorted[i - 1]
        if (before === undefined || byColumns(all)(before, row) !== 0) w1 = i + 1
        const value = cellOf(row, number) as number | null
        if (value !== null) total = (total ?? 0) + value
        return { ...row, w1, w2: i + 1, w3: before === undefined ? null : cellOf(before, number), w4: total }
      })
    })
    return then(p, `keyBy(${key}).sort(${all.join(', ')}).window(rank, rowNumber, lag(${number}), running(sum(${number})))`, {
      flow: p.flow
        .keyBy(key)
        .sort(...all)
        .window({ w1: rank(), w2: rowNumber(), w3: lag(number), w4: running(sum(number)) }) as unknown as AnyFlowOf,
      rows,
      columns: { ...p.columns, w1: 'number', w2: 'number', w3: 'number', w4: 'number' },
    })
  },
  repartition(random, p) {
    const names = random.below(2) === 0 ? [] : drawNames(random, p.columns, 2)
    return then(p, `repartition(${names.join(', ')})`, { flow: p.flow.repartition(...names), rows: p.rows })
  },
  cache(_random, p) {
    return then(p, 'cache()', { flow: p.flow.cache(), rows: p.rows, isPortable: false, isSorted: p.isSorted })
  },
}

// --- comparison --------------------------------------------------------------------------------------------------------------------------

/** Nulls are as fields that are not there, -0 is 0; sums may differ in their last digits. */
function textOf(row: Row): string {
  const fields = Object.entries(row).filter(([, value]) => value !== null && value !== undefined)
  const cell = (value: unknown): string => {
    if (typeof value !== 'number') return JSON.stringify(value)
    return Number.isNaN(value) ? 'NaN' : String(Number(value.toPrecision(10)) + 0)
  }
  return fields
    .map(([name, value]) => `${name}=${cell(value)}`)
    .sort()
    .join(' ')
}

function differenceOf(actual: readonly Row[], expected: readonly Row[], isSorted: boolean): string | undefined {
  const [a, b] = [actual.map(textOf), expected.map(textOf)]
  if (!isSorted) for (const list of [a, b]) list.sort()
  if (a.length !== b.length) return `${a.length} rows, expected ${b.length}`
  const at = a.findIndex((text, i) => text !== b[i])
  return at < 0 ? undefined : `row ${at} is ${a[at]}, expected ${b[at]}`
}

export interface PipelineReport {
  readonly seed: number
  readonly runs: number
  readonly rows: number
  /** How often each verb was drawn. */
  readonly verbs: Readonly<Record<string, number>>
}

/** Runs one seed: a database and some pipelines over it. Throws an Error with the seed and the pipeline that went wrong. */
export async function runPipelines(seed: number, pipelines = 6): Promise<PipelineReport> {
  const random = makeRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'varve-pipelines-'))
  const db = await open(folder)
  const verbs: Record<string, number> = {}
  let runs = 0
  let rowCount = 0
  try {
    const size = random.pick([0, 40, 1500, 12_000])
    const table = Array.from({ length: size }, (_, id) => drawRow(random, id))
    const store = db.store<Row, number>('t')
    await store.batch(table.map((value, key) => ({ type: 'put', key, value })))
    // Fields that segments hold as columns too, and whether what was sent lies in segments, some of it or all.
    const columns = random.below(2) === 0 ? { columns: drawNames(random, baseColumns, 4) } : {}
    const value = random.pick(['msgpack', 'json'] as const)
    const topic = db.topic<Row>('u', { partitions: 3, value, ...columns })
    const sent = Array.from({ length: random.pick([0, 30, 3000]) }, (_, id) => drawRow(random, id))
    // JSON has no NaN.
    const events = value === 'json' ? (JSON.parse(JSON.stringify(sent)) as Row[]) : sent
    const sentFirst = random.below(sent.length + 1)
    for (const part of [sent.slice(0, sentFirst), sent.slice(sentFirst)]) {
      if (part.length > 0) await topic.sendBatch(part.map(row => ({ value: row })))
      if (random.below(2) === 0) await db.seal()
      if (random.below(3) === 0) await db.consolidate()
    }
    const fresh = (): Pipeline => {
      const common = { columns: baseColumns, isSorted: false }
      const kind = random.below(5)
      if (kind < 2) return { ...common, flow: flow('t', store) as unknown as AnyFlowOf, rows: table, isPortable: true, text: 'store' }
      if (kind < 4) return { ...common, flow: flow('u', topic) as unknown as AnyFlowOf, rows: events, isPortable: true, text: 'topic' }
      const few = events.slice(0, 100)
      return { ...common, flow: flow('v', few) as unknown as AnyFlowOf, rows: few, isPortable: false, text: 'iterable' }
    }
    for (let n = 0; n < pipelines; n++) {
      let pipeline = fresh()
      for (let left = 1 + random.below(5); left > 0; left--) {
        const verb = random.pick(Object.keys(steps))
        if (pipeline.rows.length > 60_000) break
        pipeline = (steps[verb] as Step)(random, pipeline, fresh)
        verbs[verb] = (verbs[verb] ?? 0) + 1
      }
      const modes = [{ workers: 0, memoryBytesMax: random.pick([1 << 20, 64 << 20]) }]
      if (pipeline.isPortable) modes.push({ workers: 2, memoryBytesMax: random.pick([1 << 20, 64 << 20]) })
      for (const mode of modes) {
        runs++
        const where = (): string => `seed ${seed}, ${JSON.stringify(mode)}:\n${pipeline.text}`
        let actual: readonly Row[]
        try {
          actual = await pipeline.flow.toArray(mode)
        } catch (cause) {
          throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${where()}`, { cause })
        }
        rowCount += actual.length
        const difference = differenceOf(actual, pipeline.rows, pipeline.isSorted)
        if (difference !== undefined) throw new Error(`${difference}\n${where()}`)
      }
    }
    return { seed, runs, rows: rowCount, verbs }
  } finally {
    await db.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

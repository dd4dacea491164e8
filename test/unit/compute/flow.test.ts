/** Goal: flows over iterables, stores and topics give what the same steps on arrays give. */
import { describe, expect, it } from 'vitest'
import {
  avg,
  col,
  collect,
  count,
  countIf,
  flow,
  lit,
  mapReduce,
  max,
  min,
  readBinary,
  readCsv,
  readJsonl,
  record,
  row,
  runTogether,
  sum,
  toStore,
  toTopic,
  writeBinary,
  writeCsv,
  writeJsonl,
  writeParquet,
} from '../../../compute/index.ts'
import { open } from '../../../index.ts'

interface Flight {
  readonly origin: string
  readonly delay: number | null
  readonly plane: { readonly age?: number }
}

const origins = ['OSL', 'Zürich', 'JFK', '']
const flights: Flight[] = Array.from({ length: 10_000 }, (_, i) => ({
  origin: origins[i % 4] as string,
  delay: i % 7 === 0 ? null : (i % 100) - 20.5,
  plane: i % 3 === 0 ? {} : { age: i % 30 },
}))

const byOrigin = (rows: Flight[]): unknown[] =>
  [...new Set(rows.map(({ origin }) => origin))].sort().map(origin => {
    const delays = rows.filter(flight => flight.origin === origin && flight.delay !== null).map(({ delay }) => delay as number)
    const total = delays.reduce((a, b) => a + b, 0)
    return {
      origin,
      flights: rows.filter(flight => flight.origin === origin).length,
      total,
      mean: total / delays.length,
      least: Math.min(...delays),
      most: Math.max(...delays),
    }
  })

const summary = { flights: count(), total: sum('delay'), mean: avg('delay'), least: min('delay'), most: max('delay') } as const

describe('flow over an iterable', () => {
  it('filters, maps and flattens as arrays do', async () => {
    const rows = await flow('f', flights)
      .filter(flight => flight.delay !== null)
      .map(({ delay }) => delay as number)
      .flatMap(function* (delay) {
        yield delay
        if (delay > 50) yield -delay
      })
      .toArray()
    const expected = flights
      .filter(f => f.delay !== null)
      .flatMap(({ delay }) => ((delay as number) > 50 ? [delay, -(delay as number)] : [delay]))
    expect(rows).toEqual(expected)
  })

  it('aggregates by key', async () => {
    expect(await flow('f', flights).keyBy('origin').aggregate(summary).sort('origin').toArray()).toEqual(byOrigin(flights))
  })

  it('takes keys from expressions and functions', async () => {
    const byAge = await flow('f', flights)
      .keyBy({ old: col('plane.age').gte(15) })
      .count()
      .sort('old')
      .toArray()
    const ages = flights.map(({ plane }) => (plane.age === undefined ? null : plane.age >= 15))
    const expected = [false, true, null].map(old => ({ old, count: ages.filter(age => age === old).length }))
    expect(byAge).toEqual(expected)
    const folded = await flow('f', flights)
      .keyBy(({ plane }) => plane.age ?? -1)
      .fold(
        () => 0,
        n => n + 1,
      )
      .sort('key')
      .first()
    expect(folded).toEqual({ key: -1, value: flights.filter(({ plane }) => plane.age === undefined).length })
  })

  it('gives one row of aggregates over nothing, and none by key', async () => {
    const none = flow('f', flights).filter(lit(false))
    expect(await none.aggregate(summary).toArray()).toEqual([{ flights: 0, total: null, mean: null, least: null, most: null }])
    expect(await none.keyBy('origin').count().toArray()).toEqual([])
  })

  it('sorts, limits, tells rows apart and unites', async () => {
    const numbers = flow('n', [3, 1, Number.NaN, 2, 1, null])
    expect(await numbers.sort({ by: row(), descending: true, nulls: 'first' }).toArray()).toEqual([null, Number.NaN, 3, 2, 1, 1])
    expect(await numbers.distinct().sort(row()).limit(2, 1).toArray()).toEqual([2, 3])
    expect((await numbers.union(flow('m', ['a'])).toArray()).length).toBe(7)
    expect(await flow('f', flights).distinct('origin').select('origin').toArray()).toEqual(origins.map(origin => ({ origin })))
  })

  it('is read by a loop that may be left', async () => {
    const seen: Flight[] = []
    let closed = false
    function* endless(): Generator<Flight> {
      try {
        for (;;) yield* flights
      } finally {
        closed = true
      }
    }
    for await (const flight of flow('f', endless())) {
      seen.push(flight)
      if (seen.length === 25_000) break
    }
    expect(seen[12_345]).toEqual(flights[2345])
    expect(closed).toBe(true)
  })

  it('waits for functions that wait, so many at a time', async () => {
    let [running, most] = [0, 0]
    const doubled = await flow(
      'n',
      Array.from({ length: 100 }, (_, i) => i),
    )
      .mapAsync(
        async n => {
          most = Math.max(most, ++running)
          await Promise.resolve()
          running--
          return 2 * n
        },
        { concurrency: 3 },
      )
      .toArray()
    expect(doubled).toEqual(Array.from({ length: 100 }, (_, i) => 2 * i))
    expect(most).toBe(3)
  })

  it('rejects with what a function throws, and with the reason of a signal', async () => {
    const failing = flow('n', [1, 2]).map(() => {
      throw new RangeError('mine')
    })
    await expect(failing.toArray()).rejects.toThrow(new RangeError('mine'))
    const stopped = AbortSignal.abort(new Error('enough'))
    await expect(flow('n', [1]).toArray({ signal: stopped })).rejects.toThrow('enough')
  })

  it('refuses bad arguments by name', () => {
    const numbers = flow('n', [1])
    expect(() => flow('', [1])).toThrow('name must be a non-empty string')
    expect(() => flow('n', 5 as never)).toThrow('input must be a store, a topic, a source or an iterable')
    expect(() => numbers.filter(5 as never)).toThrow('predicate must be a function')
    expect(() => numbers.limit(-1)).toThrow('count must be a whole number')
    expect(() => numbers.sample(2)).toThrow('fraction must be from 0 to 1')
    expect(() => flow('f', flights).keyBy('origin').aggregate({ origin: count() })).toThrow('aggregates.origin has the name of a key')
    expect(() => flow('f', flights).select('origin', 'origin')).toThrow('select must not name a field twice')
    expect(() => flow('f', flights).sort()).toThrow('sort must have something to sort by')
  })

  it('refuses a predicate that returns a promise, which would keep every row', async () => {
    await expect(
      flow('n', [1])
        .filter(async n => n > 1)
        .toArray(),
    ).rejects.toThrow('predicate must not return a promise')
  })

  it('refuses options that there are not, by name', async () => {
    const numbers = flow('n', [{ a: 1 }])
    await using db = await open({ storage: 'memory' })
    const store = db.store('s')
    const topic = db.topic('t')
    const bad = { nmae: 1 } as never
    const calls: Readonly<Record<string, () => unknown>> = {
      sort: () => numbers.sort({ by: 'a', ...(bad as object) }),
      join: () => numbers.join(numbers, { on: 'a', ...(bad as object) }),
      cogroup: () => numbers.cogroup(numbers, { on: 'a', ...(bad as object) }),
      mapAsync: () => numbers.mapAsync(one => Promise.resolve(one), bad),
      collect: () => collect('a', bad),
      readJsonl: () => readJsonl('a', bad),
      readCsv: () => readCsv('a', bad),
      readBinary: () => readBinary('a', bad),
      writeJsonl: () => writeJsonl('a', bad),
      writeCsv: () => writeCsv('a', bad),
      writeParquet: () => writeParquet('a', bad),
      writeBinary: () => writeBinary('a', bad),
      toStore: () => toStore(store, { key: 'a', ...(bad as object) }),
      toTopic: () => toTopic(topic, bad),
      mapReduce: () => mapReduce('url', 'name', bad),
      'an input': () => flow('t', topic, bad),
    }
    for (const [of, call] of Object.entries(calls)) expect(call, of).toThrow(new TypeError(`unknown option of ${of}: nmae`))
    await expect(numbers.toArray(bad)).rejects.toThrow(new TypeError('unknown option of a run: nmae'))
    await expect(numbers.toArray({ args: 1 } as never)).rejects.toThrow('unknown option of a run: args')
    await expect(numbers.toArray({ speculation: bad })).rejects.toThrow('unknown option of speculation: nmae')
    await expect(runTogether({ numbers }, bad)).rejects.toThrow('unknown option of runTogether: nmae')
    expect(() => toStore(store, undefined as never)).toThrow('options of toStore must be an object, got undefined')
    expect(() => toStore('s' as never, { key: 'a' })).toThrow('toStore must be given a store, got s')
    expect(() => toTopic('t' as never)).toThrow('toTopic must be given a topic, got t')
  })
})

describe.each(['msgpack', 'json'] as const)('flow over values of %s', value => {
  it('reads a store in key order, with its keys, at one moment', async () => {
    await using db = await open({ storage: 'memory' })
    const store = db.store<Flight, number>('flights', { value })
    await store.batch(flights.map((flight, key) => ({ type: 'put' as const, key, value: flight })))
    expect(await flow('f', store).toArray()).toEqual(flights)
    expect(await flow('f', store).keyBy('origin').aggregate(summary).sort('origin').toArray()).toEqual(byOrigin(flights))
    const keys = await flow('f', store).filter(record.key.lt(3)).select({ key: record.key, age: 'plane.age' }).toArray()
    expect(keys).toEqual([0, 1, 2].map(key => ({ key, age: flights[key]?.plane.age ?? null })))
  })

  it('reads a topic, what was committed of it', async () => {
    await using db = await open({ storage: 'memory' })
    const topic = db.topic<Flight>('flights', { partitions: 3, key: 'origin', value })
    await topic.sendBatch(flights)
    const producer = db.producer({ transactionalId: 'tx' })
    const transaction = await producer.begin()
    void transaction.send(topic, { origin: 'aborted', delay: 0, plane: {} })
    await transaction.abort()
    expect((await flow('f', topic).toArray()).length).toBe(flights.length)
    expect(await flow('f', topic).keyBy('origin').aggregate(summary).sort('origin').toArray()).toEqual(byOrigin(flights))
    const places = await flow('f', topic)
      .keyBy({ partition: record.partition })
      .aggregate({ last: max(record.offset), first: min(record.offset), n: count() })
      .toArray()
    for (const { first, last, n } of places) expect([first, last]).toEqual([0, n - 1])
  })
})

describe('aggregates of a flow', () => {
  it('count only rows for which their own predicate is true', async () => {
    const found = await flow('f', flights)
      .keyBy('origin')
      .aggregate({
        late: countIf(col('delay').gt(30)),
        lateAges: sum('plane.age').where(col('delay').gt(30)).where(col('plane.age').isNotNull()),
        old: count().where(col('plane.age').gte(15)),
        all: count(),
      })
      .sort('origin')
      .toArray()
    const expected = [...new Set(flights.map(({ origin }) => origin))].sort().map(origin => {
      const rows = flights.filter(flight => flight.origin === origin)
      const late = rows.filter(({ delay }) => delay !== null && delay > 30)
      const ages = late.flatMap(({ plane }) => plane.age ?? [])
      const old = rows.filter(({ plane }) => (plane.age ?? 0) >= 15).length
      return { origin, late: late.length, lateAges: ages.length === 0 ? null : ages.reduce((a, b) => a + b, 0), old, all: rows.length }
    })
    expect(found).toEqual(expected)
  })

  it('have verbs of their own for the usual ones', async () => {
    const keyed = flow('f', flights).keyBy('origin')
    const delays = (origin: string): (number | null)[] => flights.filter(one => one.origin === origin).map(({ delay }) => delay)
    const known = new Set(delays('OSL').filter(delay => delay !== null))
    expect(await keyed.countDistinct('delay').filter(col('origin').eq('OSL')).first()).toEqual({ origin: 'OSL', countDistinct: known.size })
    const first = await keyed.collect({ limit: 2 }).filter(col('origin').eq('JFK')).first()
    expect(first).toEqual({ origin: 'JFK', rows: [flights[2], flights[6]] })
    const sorted = delays('OSL')
      .filter(delay => delay !== null)
      .sort((a, b) => a - b)
    const middle = ((sorted[(sorted.length - 1) >> 1] as number) + (sorted[sorted.length >> 1] as number)) / 2
    expect(await keyed.median('delay').filter(col('origin').eq('OSL')).first()).toEqual({ origin: 'OSL', median: middle })
    expect(await flow('f', flights).count()).toBe(flights.length)
    expect(await flow('f', flights).filter(col('delay').isNull()).count()).toBe(flights.filter(({ delay }) => delay === null).length)
  })
})

/** Goal: files of text, JSON lines, CSV and Parquet give their rows, however they are divided, by threads as here; what is wrong with them is said with file and line. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LineReader, lineNumberAt } from '../../../../compute/file/line-reader.ts'
import {
  col,
  count,
  flow,
  max,
  readCsv,
  readJsonl,
  readParquet,
  readText,
  row,
  runTogether,
  sum,
  writeCsv,
  writeParquet,
} from '../../../../compute/index.ts'
import { nodeFiles } from '../../../../engine/index.ts'

let folder: string
const path = (name: string): string => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'varve-files-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

function linesOf(file: string, borders: readonly number[], linesMax: number): string[] {
  const lines: string[] = []
  for (let i = 0; i + 1 < borders.length; i++) {
    const reader = new LineReader(nodeFiles, file, borders[i] as number, borders[i + 1] as number, linesMax)
    for (let n = reader.next(); n > 0; n = reader.next()) {
      for (let k = 0; k < n; k++) lines.push(Buffer.from(reader.bytes.subarray(reader.starts[k], reader.ends[k])).toString())
    }
    reader.close()
  }
  return lines
}

describe('lines', () => {
  it('belong to the range in which they begin, wherever ranges end', async () => {
    for (const [i, text] of ['', 'a', 'a\n', '\n\nab\r\nc\n', '\ufeffone\ntwo', 'é\nü\n\n', 'x\r'].entries()) {
      const file = path(`lines-${i}.txt`)
      await writeFile(file, text)
      const size = Buffer.byteLength(text)
      const expected = text
        .replace('\ufeff', '')
        .split('\n')
        .map(line => line.replace(/\r$/, ''))
      if (expected.at(-1) === '' && (text.endsWith('\n') || text === '')) expected.pop()
      for (let a = 0; a <= size; a++) for (let b = a; b <= size; b++) expect(linesOf(file, [0, a, b, size], 2)).toEqual(expected)
    }
  })

  it('may have any length', async () => {
    const lines = Array.from({ length: 1200 }, (_, size) => '\v\t!é'.repeat(size).slice(0, size))
    const text = lines.join('\n')
    await writeFile(path('any.txt'), text)
    expect(linesOf(path('any.txt'), [0, 4567, Buffer.byteLength(text)], 100)).toEqual(lines)
  })

  it('may be longer than what is read at a time', async () => {
    const long = ['x'.repeat(3 << 20), 'short', 'y'.repeat(1 << 20), 'z'.repeat((1 << 20) - 1)]
    await writeFile(path('long.txt'), long.join('\n'))
    expect(linesOf(path('long.txt'), [0, 1 << 20, 5 << 20, 6 << 20], 100)).toEqual(long)
    expect(lineNumberAt(nodeFiles, path('long.txt'), (3 << 20) + 2)).toBe(2)
  })
})

describe('text', () => {
  it('is counted by words as by closures, in one thread and in two', async () => {
    const words = ['the', 'quick', 'brown', 'Füchse', 'jump', '-', 'over']
    const text = Array.from({ length: 60_000 }, (_, i) => `${words[i % 7]}  ${words[(i * 3) % 7]}\t${words[(i * 5) % 7]} `).join('\n')
    await mkdir(path('texts/deep'), { recursive: true })
    await writeFile(path('texts/a.txt'), text)
    await writeFile(path('texts/deep/b.txt'), text)
    await writeFile(path('texts/_hidden.txt'), text)
    const counted = flow('words', readText(path('texts/**/*.txt')))
      .words()
      .keyBy({ word: row() })
      .count()
      .sort('word')
    const closures = flow('words', readText(path('texts')))
      .flatMap(line => line.split(/\s+/).filter(word => word !== ''))
      .keyBy({ word: row<string>() })
      .count()
      .sort('word')
    const expected = await closures.toArray()
    expect(expected.length).toBe(7)
    expect(expected.reduce((total, { count: n }) => total + n, 0)).toBe(360_000)
    expect(await counted.toArray({ workers: 0 })).toEqual(expected)
    expect(await counted.toArray({ workers: 2 })).toEqual(expected)
  })

  it('says when there is no such file', async () => {
    await expect(flow('f', readText(path('missing-*.txt'))).toArray()).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(() => readText('')).toThrow('path must be a path')
  })
})

describe('JSON lines', () => {
  it('give their fields', async () => {
    const rows = Array.from({ length: 30_000 }, (_, n) => ({ n, city: `c${n % 3}`, deep: { x: [n, 'é'] } }))
    await writeFile(path('rows.jsonl'), rows.map(one => JSON.stringify(one)).join('\n'))
    const built = flow('f', readJsonl<(typeof rows)[0]>(path('rows.jsonl')))
      .keyBy('city')
      .aggregate({ n: count(), m: max('deep.x.0') })
      .sort('city')
    const expected = [0, 1, 2].map(c => ({ city: `c${c}`, n: 10_000, m: 29_997 + c }))
    expect(await built.toArray({ workers: 0 })).toEqual(expected)
    expect(await built.toArray({ workers: 2 })).toEqual(expected)
    expect(await flow('f', readJsonl(path('rows.jsonl'))).toArray()).toEqual(rows)
  })

  it('name file and line of what is no JSON, or leave it out', async () => {
    await writeFile(path('bad.jsonl'), '{"a":1}\n\n{"a":2}\n{"a":\n{"a":4}\n')
    const failing = flow('f', readJsonl<{ a: number }>(path('bad.jsonl'))).aggregate({ s: sum('a') })
    await expect(failing.toArray()).rejects.toThrow(/bad\.jsonl, line 4: /)
    await expect(failing.toArray({ workers: 1 })).rejects.toMatchObject({ code: 'CORRUPT', details: { file: path('bad.jsonl'), line: 4 } })
    const skipping = flow('f', readJsonl<{ a: number }>(path('bad.jsonl'), { badRecords: 'skip' }))
    expect(await skipping.toArray()).toEqual([{ a: 1 }, { a: 2 }, { a: 4 }])
  })

  it('name file and line also where a record is decoded late: behind a sort, by another thread, beside rows of another file', async () => {
    const good = Array.from({ length: 9000 }, (_, k) => JSON.stringify({ k, text: 'x'.repeat(k % 7) }))
    await writeFile(path('late-1.jsonl'), good.join('\n'))
    const bad = good.with(7000, '{"k":7000,"text":x}')
    await writeFile(path('late-2.jsonl'), bad.join('\n'))
    const place = {
      code: 'CORRUPT',
      details: { file: path('late-2.jsonl'), line: 7001, position: bad.slice(0, 7000).join('\n').length + 1 },
    }
    const first = flow('first', readJsonl<{ k: number; text: string }>(path('late-1.jsonl')))
    const second = flow('second', readJsonl<{ k: number; text: string }>(path('late-2.jsonl')))
    const both = flow('both', readJsonl<{ k: number }>(path('late-*.jsonl')))
    for (const workers of [0, 1]) {
      for (const failing of [
        second,
        both,
        second.sort('k'),
        both.sort('k'),
        first.join(second, { on: 'k' }),
        second.join(first, { on: 'k' }),
      ]) {
        await expect(failing.toArray({ workers }), `${failing.explain()}, workers ${workers}`).rejects.toMatchObject(place)
      }
    }
    await expect(runTogether({ first, sorted: second.sort('k') })).rejects.toMatchObject(place)
    expect(
      await flow('skip', readJsonl(path('late-2.jsonl'), { badRecords: 'skip' }))
        .sort('k')
        .count(),
    ).toBe(8999)
  })
})

describe('CSV', () => {
  const csv = 'id,name,price,ok,when\n1,"a, ""b""",1.50,true,2026-01-01\r\n2,,-0.25,false,\n3,"",1e3,true,x\n'

  it('gives typed values', async () => {
    await writeFile(path('a.csv'), csv)
    expect(await flow('f', readCsv(path('a.csv'))).toArray()).toEqual([
      { id: 1, name: 'a, "b"', price: 1.5, ok: true, when: '2026-01-01' },
      { id: 2, name: null, price: -0.25, ok: false, when: null },
      { id: 3, name: '', price: 1000, ok: true, when: 'x' },
    ])
    const typed = readCsv(path('a.csv'), { types: { id: 'bigint', when: 'date' }, badRecords: 'skip' })
    expect(await flow('f', typed).select('id', 'when').toArray()).toEqual([
      { id: 1n, when: new Date('2026-01-01') },
      { id: 2n, when: null },
    ])
  })

  it('is the same by threads, with other delimiters, without names, and with line ends in values', async () => {
    const lines = Array.from({ length: 50_000 }, (_, i) => `${i};"x${i % 10}";${i / 4}`)
    await writeFile(path('b.csv'), lines.join('\n'))
    const built = flow('f', readCsv(path('b.csv'), { delimiter: ';', columns: ['i', 'x', 'q'] }))
      .keyBy('x')
      .aggregate({ s: sum('q'), n: count() })
      .sort('x')
    expect((await built.toArray({ workers: 0 })).length).toBe(10)
    expect(await built.toArray({ workers: 2 })).toEqual(await built.toArray({ workers: 0 }))
    await writeFile(path('c.csv'), 'a,b\n1,"two\nlines"\n2,"x"\n')
    expect(await flow('f', readCsv(path('c.csv'), { lineEndsInValues: true })).toArray()).toEqual([
      { a: 1, b: 'two\nlines' },
      { a: 2, b: 'x' },
    ])
    await expect(flow('f', readCsv(path('c.csv'))).toArray()).rejects.toThrow(/c\.csv, line 2: a quote is not closed/)
  })

  it('keeps whole numbers that no double holds, whether the first lines show them or a later one', async () => {
    await writeFile(path('ids.csv'), 'id,v\n9007199254740993,1\n9007199254740992,2\n"9007199254740993",3\n12,4\n')
    const ids = flow('f', readCsv<{ id: bigint; v: number }>(path('ids.csv')))
    expect((await ids.toArray()).map(({ id }) => id)).toEqual([9007199254740993n, 9007199254740992n, 9007199254740993n, 12n])
    expect(await ids.keyBy('id').count().toArray()).toHaveLength(3)
    const late = `id\n${'1.5\n'.repeat(1000)}1844674407370955161\n-9007199254740993\n9007199254740992\n`
    await writeFile(path('late.csv'), late)
    expect((await flow('f', readCsv<{ id: number | bigint }>(path('late.csv'))).toArray()).slice(1000).map(({ id }) => id)).toEqual([
      1844674407370955161n,
      -9007199254740993n,
      9007199254740992,
    ])
    // Who asks for numbers gets numbers.
    const numbers = await flow('f', readCsv<{ id: number }>(path('late.csv'), { types: { id: 'number' } })).toArray()
    expect(numbers.at(-2)).toEqual({ id: -9007199254740992 })
  })

  it('takes an empty value in quotes for null where it cannot be a text', async () => {
    await writeFile(path('quoted.csv'), '"n","b","t","d"\n"1","true","x","2026-01-01"\n"","","",""\n')
    expect(await flow('f', readCsv(path('quoted.csv'), { types: { d: 'date' } })).toArray()).toEqual([
      { n: 1, b: true, t: 'x', d: new Date('2026-01-01') },
      { n: null, b: null, t: '', d: null },
    ])
  })

  it('refuses files whose columns are not those of the first, by name', async () => {
    await writeFile(path('h1.csv'), 'a,b\n1,2\n')
    await writeFile(path('h2.csv'), 'b,a\r\n1,2\r\n')
    await writeFile(path('h3.csv'), '')
    await expect(flow('f', readCsv([path('h1.csv'), path('h2.csv')])).toArray()).rejects.toMatchObject({
      code: 'CORRUPT',
      message: expect.stringContaining('h2.csv, line 1: the columns are b, a, and not a, b, as in the first file'),
    })
    await writeFile(path('h4.csv'), '\ufeff"a",b\n3,4')
    // Empty ones have no rows, wherever they stand; the first with bytes says what columns there are.
    expect(await flow('f', readCsv([path('h3.csv'), path('h1.csv'), path('h4.csv')])).toArray()).toHaveLength(2)
    expect(await flow('f', readCsv([path('h1.csv'), path('h3.csv'), path('h4.csv')])).toArray()).toEqual([
      { a: 1, b: 2 },
      { a: 3, b: 4 },
    ])
  })

  it('comes back as it was written: empty texts, nulls, quotes, line ends, large numbers', async () => {
    const rows = [
      { t: '', n: null, i: 2n ** 53n + 1n, d: new Date(5) },
      { t: null, n: -0.5, i: null, d: null },
      { t: ' a,"b"\r\n', n: 1e300, i: -5n, d: new Date(1e12) },
    ]
    await flow('f', rows).to(writeCsv(path('written.csv')))
    const back = readCsv(path('written.csv'), { lineEndsInValues: true, types: { d: 'date' } })
    expect(await flow('f', back).toArray()).toEqual(rows)
  })

  it('names file, line and column of what is wrong', async () => {
    await writeFile(path('d.csv'), `a,b\n${'1,2\n'.repeat(1500)}1,x\n1\n1,2,3\n`)
    const rows = flow('f', readCsv(path('d.csv')))
    await expect(rows.toArray()).rejects.toThrow(/d\.csv, line 1503: there are 1 values, not 2/)
    expect((await flow('f', readCsv(path('d.csv'), { badRecords: 'skip' })).toArray()).length).toBe(1500)
    await writeFile(path('e.csv'), `a,b\n${'1,2\n'.repeat(1500)}1,x\n`)
    await expect(flow('f', readCsv(path('e.csv'))).toArray()).rejects.toThrow(/e\.csv, line 1502: b is no number/)
    await expect(
      flow('f', readCsv(path('e.csv')))
        .aggregate({ s: sum('a') })
        .toArray(),
    ).resolves.toEqual([{ s: 1501 }])
    await expect(flow('f', readCsv(path('e.csv'), { types: { z: 'number' } })).toArray()).rejects.toThrow('types.z is no column')
    await expect(flow('f', readCsv(path('e.csv'), { delimiter: ';;' })).toArray()).rejects.toThrow('delimiter must be one ASCII character')
  })
})

describe('Parquet', () => {
  it('gives bytes as bytes and texts as texts', async () => {
    const rows = [
      { t: 'é', b: new Uint8Array([0xff, 0, 0xfe]), i: 2n ** 63n - 1n, huge: 10n ** 24n },
      { t: '', b: new Uint8Array(), i: -(2n ** 63n), huge: 1n },
    ]
    await flow('f', rows).to(writeParquet(path('bytes.parquet')))
    const read = await flow('f', readParquet<{ t: string; b: Uint8Array; i: bigint; huge: string }>(path('bytes.parquet'))).toArray()
    expect(read.map(({ t, b }) => [t, b instanceof Uint8Array, [...b]])).toEqual([
      ['é', true, [0xff, 0, 0xfe]],
      ['', true, []],
    ])
    // What is larger than 64 bits is there as text.
    expect(read.map(({ i, huge }) => [i, String(huge).replaceAll('"', '')])).toEqual([
      [2n ** 63n - 1n, '1000000000000000000000000'],
      [-(2n ** 63n), '1'],
    ])
  })

  it('reads what others have compressed, and bytes of theirs as bytes', async () => {
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const db = await (await DuckDBInstance.create(':memory:')).connect()
    for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw']) {
      const file = path(`${codec}.parquet`)
      await db.run(
        `copy (select i::integer as i, 'text ' || (i % 7) as t, from_hex('ff0' || (i % 10)) as b from range(5000) r(i)) to '${file}' (format parquet, compression ${codec})`,
      )
      const rows = await flow('f', readParquet<{ i: number; t: string; b: Uint8Array }>(file)).toArray()
      expect(rows.length, codec).toBe(5000)
      expect(rows[4321], codec).toEqual({ i: 4321, t: 'text 2', b: new Uint8Array([0xff, 1]) })
    }
    db.closeSync()
  })

  it('writes dates that are none as null', async () => {
    const rows = [{ at: new Date(0) }, { at: new Date(Number.NaN) }]
    await flow('f', rows).to(writeParquet(path('dates.parquet')))
    expect(await flow('f', readParquet(path('dates.parquet'))).toArray()).toEqual([{ at: new Date(0) }, { at: null }])
  })

  it('gives the columns that are read, row group by row group', async () => {
    const ids = Array.from({ length: 5000 }, (_, i) => i)
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: 'id', data: ids, type: 'INT32' },
        { name: 'city', data: ids.map(i => `c${i % 3}`), type: 'STRING' },
        { name: 'price', data: ids.map(i => (i % 5 === 0 ? null : i / 2)), type: 'DOUBLE' },
      ],
      rowGroupSize: 1000,
    })
    await writeFile(path('a.parquet'), Buffer.from(buffer))
    const built = flow('f', readParquet(path('a.parquet')))
      .filter(col('id').gte(10))
      .keyBy('city')
      .aggregate({ n: count(), s: sum('price') })
      .sort('city')
    const here = await built.toArray({ workers: 0 })
    expect(here.map(({ n }) => n).reduce((a, b) => a + b, 0)).toBe(4990)
    expect(await built.toArray({ workers: 2 })).toEqual(here)
    expect(
      await flow('f', readParquet(path('a.parquet')))
        .limit(1, 4999)
        .toArray(),
    ).toEqual([{ id: 4999, city: 'c1', price: 2499.5 }])
    await writeFile(path('b.parquet'), 'none')
    await expect(flow('f', readParquet(path('b.parquet'))).toArray()).rejects.toMatchObject({
      code: 'CORRUPT',
      details: { file: path('b.parquet') },
    })
  })
})

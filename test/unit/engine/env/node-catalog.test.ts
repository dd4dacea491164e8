// Goal: the LMDB view survives what LMDB alone does not: damaged files, other threads, and really being closed.
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checkLmdbFile } from '../../../../engine/env/node/lmdb-check.ts'
import { readNewestMeta } from '../../../../engine/env/node/lmdb-meta.ts'
import { SimRandom } from '../../../../engine/env/sim/random.ts'
import { codeOf, nodeWorld, text, type World } from './worlds.ts'

const compiled = new URL('../../../../dist/engine/env/index.js', import.meta.url).href

let world: World
let folder: string

beforeEach(async () => {
  world = await nodeWorld()
  folder = `${world.folder}/catalog`
})
afterEach(() => world.dispose())

async function fill(rows: number, valueBytes: number): Promise<void> {
  const view = await world.env.catalogs.open(folder)
  for (let from = 0; from < rows; from += 100) {
    const puts = Array.from({ length: Math.min(100, rows - from) }, (_, index) => ({
      key: text(`row${from + index}`),
      value: new Uint8Array(valueBytes).fill(from + index),
    }))
    view.change({ puts, deletes: [] })
  }
  view.change({ puts: [{ key: text('large'), value: new Uint8Array(20_000).fill(5) }], deletes: [text('row1'), text('row2')] })
  await view.close()
}

test('close really closes: the file is no longer mapped, and a new one can take its place', async () => {
  await fill(10, 10)
  expect(fs.readFileSync('/proc/self/maps', 'utf8')).not.toContain(folder)
  await world.env.catalogs.remove(folder)
  const view = await world.env.catalogs.open(folder)
  expect(view.rows()).toEqual([])
  expect(fs.readFileSync('/proc/self/maps', 'utf8')).toContain(folder)
  await view.close()
})

test('the main thread reads, the worker thread changes, in any order of opening and closing', async () => {
  const executor = world.env.createExecutor()
  const change = (key: string, value: string): Promise<number> =>
    executor.run({ kind: 'changeCatalog', input: { folder, key: text(key), value: text(value) } })
  const reader = await world.env.catalogs.open(folder)
  reader.change({ puts: [{ key: text('main'), value: text('0') }], deletes: [] })
  expect(await change('a', '1')).toBe(2)
  expect(reader.get(text('a'))).toEqual(text('1'))
  await reader.close()
  expect(await change('b', '2')).toBe(3)
  for (let round = 0; round < 20; round++) {
    const changing = change(`round${round}`, 'x'.repeat(round * 500))
    const view = await world.env.catalogs.open(folder, { readOnly: round % 2 === 0 })
    expect(view.rows().length).toBeGreaterThanOrEqual(3 + round)
    await changing
    expect(view.rows()).toHaveLength(4 + round)
    await view.close()
  }
  await executor.close()
  const after = await world.env.catalogs.open(folder)
  after.change({ puts: [{ key: text('after'), value: text('worker gone') }], deletes: [] })
  expect(after.rows()).toHaveLength(24)
  await after.close()
})

test('a changed value, key or checksum on the disk is CORRUPT when read', async () => {
  await fill(3, 100)
  const path = `${folder}/data.mdb`
  const bytes = fs.readFileSync(path)
  let found = 0
  for (let at = bytes.indexOf(new Uint8Array(100)); at !== -1; at = bytes.indexOf(new Uint8Array(100), at + 100)) {
    if (bytes.subarray(at - 12, at - 8).toString('latin1') !== 'row0') continue
    found++
    for (const position of [at, at + 99, at - 1, at - 8]) {
      const damaged = Buffer.from(bytes)
      damaged[position]! ^= 16
      fs.writeFileSync(path, damaged)
      const view = await world.env.catalogs.open(folder)
      const codes = [await codeOf(() => view.get(text('row0'))), await codeOf(() => view.rows())]
      await view.close()
      // Older copies of the page are not read; the newest one has to be noticed.
      if (codes[0] !== undefined) expect(codes).toEqual(['CORRUPT', 'CORRUPT'])
      if (codes[0] !== undefined) found += 100
    }
  }
  expect(found).toBeGreaterThanOrEqual(400)
})

test('garbage instead of a catalog is CORRUPT and leaves the process alive', async () => {
  const random = new SimRandom(3)
  fs.mkdirSync(folder)
  const garbage = Uint8Array.from({ length: 16_384 }, () => random.below(256))
  for (const bytes of [garbage, new Uint8Array(8192), text('hello'), text('x'.repeat(5000))]) {
    fs.writeFileSync(`${folder}/data.mdb`, bytes)
    expect(await codeOf(() => world.env.catalogs.open(folder))).toBe('CORRUPT')
  }
})

test('damage anywhere in the file never kills the process: an error or the right rows', () => {
  // In a child, since the failure this guards against is the death of the process.
  const program = `
    import fs from 'node:fs'
    import { createNodeEnvironment, SimRandom } from ${JSON.stringify(compiled)}
    const [folder, seed] = process.argv.slice(1)
    const { catalogs } = createNodeEnvironment({ worker: new URL('file:///none') })
    const path = folder + '/data.mdb'
    const intact = fs.readFileSync(path)
    const random = new SimRandom(Number(seed))
    const codes = {}
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(intact)
      const flips = 1 + random.below(3)
      for (let flip = 0; flip < flips; flip++) {
        const page = random.below(bytes.length / 4096)
        // Half of the damage hits the structured first bytes of a page.
        const within = random.chance(0.5) ? random.below(200) : random.below(4096)
        if (random.chance(0.3)) bytes.fill(random.below(256), page * 4096 + within, page * 4096 + Math.min(4096, within + random.below(64)))
        else bytes[page * 4096 + within] ^= 1 << random.below(8)
      }
      if (random.chance(0.1)) bytes.copy(bytes, random.below(8) * 4096, random.below(8) * 4096, 8 * 4096)
      fs.writeFileSync(path, bytes)
      let code = 'ok'
      let view
      try {
        view = await catalogs.open(folder)
        view.rows()
        view.get(new TextEncoder().encode('row5'))
        view.change({ puts: [{ key: new TextEncoder().encode('new'), value: new Uint8Array(3000) }], deletes: [new TextEncoder().encode('row7')] })
        view.rows()
      } catch (error) { code = error.code }
      codes[code] = (codes[code] ?? 0) + 1
      await view?.close()
    }
    console.log(JSON.stringify(codes))`
  for (const seed of [1, 2]) {
    spawnSync('rm', ['-rf', folder])
    execFileSync(process.execPath, ['--input-type=module', '-e', makeCatalog, folder], { timeout: 30_000 })
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program, folder, String(seed)], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    expect([child.signal, child.status, child.stderr]).toEqual([null, 0, ''])
    const codes = JSON.parse(child.stdout) as Record<string, number>
    expect(Object.keys(codes).filter(code => code !== 'ok' && code !== 'CORRUPT')).toEqual([])
    expect(codes.CORRUPT).toBeGreaterThan(30)
  }
})

const makeCatalog = `
  import { createNodeEnvironment } from ${JSON.stringify(compiled)}
  const { catalogs } = createNodeEnvironment({ worker: new URL('file:///none') })
  const view = await catalogs.open(process.argv[1])
  const key = name => new TextEncoder().encode(name)
  for (let round = 0; round < 8; round++) {
    const puts = Array.from({ length: 60 }, (_, index) => ({ key: key('row' + (round * 30 + index)), value: new Uint8Array(100).fill(index) }))
    view.change({ puts: [...puts, { key: key('large' + round), value: new Uint8Array(9000) }], deletes: [] })
  }
  view.change({ puts: [], deletes: [key('large1'), key('large3'), key('row9')] })
  await view.close()`

test('the check accepts every state that LMDB itself makes, and the space reserved was enough for it', async () => {
  const random = new SimRandom(11)
  const expected = new Map<string, Uint8Array>()
  const spareBytes = (): number => {
    const file = world.env.files.openSync(`${folder}/data.mdb`, 'read')
    const { lastPage, pageSize } = readNewestMeta(file)
    const spare = file.sizeSync() - (lastPage + 1) * pageSize
    file.closeSync()
    return spare
  }
  let view = await world.env.catalogs.open(folder)
  for (let round = 0; round < 150; round++) {
    const puts = new Map<string, Uint8Array>()
    for (let count = random.below(round % 25 === 0 ? 2000 : 80); count > 0; count--) {
      const size = random.chance(0.05) ? random.below(40_000) : random.below(300)
      puts.set(`key${random.below(600)}${'k'.repeat(random.below(200))}`.slice(0, 200), new Uint8Array(size).fill(random.below(256)))
    }
    const deletes = [...expected.keys()].filter(key => !puts.has(key) && random.chance(round % 10 === 9 ? 0.7 : 0.05))
    view.change({ puts: [...puts].map(([key, value]) => ({ key: text(key), value })), deletes: deletes.map(text) })
    for (const [key, value] of puts) expected.set(key, value)
    for (const key of deletes) expected.delete(key)
    checkLmdbFile(`${folder}/data.mdb`)
    expect(spareBytes()).toBeGreaterThan(64 * 1024)
    if (round % 20 === 0) {
      await view.close()
      view = await world.env.catalogs.open(folder)
    }
  }
  expect(view.rows()).toHaveLength(expected.size)
  for (const [key, value] of expected) expect(Buffer.compare(view.get(text(key))!, value)).toBe(0)
  view.change({ puts: [], deletes: [...expected.keys()].map(text) })
  checkLmdbFile(`${folder}/data.mdb`)
  await view.close()
})

test('when the disk refuses a change it is an error, the rows are the old ones, and the process lives', () => {
  // lmdb-js 3.5.6 damages the heap when it cannot write a page: that must not be reached. The process is kept busy afterwards, since the
  // damage shows late.
  const program = `
    import { createNodeEnvironment } from ${JSON.stringify(compiled)}
    process.on('SIGXFSZ', () => undefined)
    const { catalogs } = createNodeEnvironment({ worker: new URL('file:///none') })
    const view = await catalogs.open(process.argv[1])
    const key = name => new TextEncoder().encode(name)
    let done = 0
    let code
    try {
      for (; done < 1000; done++) view.change({ puts: [{ key: key('row' + done), value: new Uint8Array(3000) }], deletes: [] })
    } catch (error) { code = error.code }
    const rows = view.rows().length
    await view.close()
    for (let round = 0; round < 20; round++) Array.from({ length: 1000 }, (_, index) => Buffer.allocUnsafeSlow(index + 60))
    console.log(JSON.stringify({ code, isEqual: rows === done, isPartial: done > 10 && done < 1000 }))`
  const run = spawnSync('bash', ['-c', 'ulimit -f 600; exec "$0" --input-type=module -e "$1" "$2"', process.execPath, program, folder], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  expect([run.signal, run.stderr]).toEqual([null, ''])
  expect(JSON.parse(run.stdout)).toEqual({ code: 'IO', isEqual: true, isPartial: true })
})

test('kill -9 between changes leaves whole changes', async () => {
  const program = `
    import { createNodeEnvironment } from ${JSON.stringify(compiled)}
    const { catalogs } = createNodeEnvironment({ worker: new URL('file:///none') })
    const view = await catalogs.open(process.argv[1])
    const key = name => new TextEncoder().encode(name)
    for (let round = 1; ; round++) {
      const value = new TextEncoder().encode(String(round))
      view.change({ puts: [{ key: key('left'), value }, { key: key('right'), value }], deletes: [] })
      if (round === 30) process.stdout.write('going')
      if (round > 30) process.kill(process.pid, 'SIGKILL')
    }`
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', program, folder], { encoding: 'utf8', timeout: 30_000 })
  expect(run.signal).toBe('SIGKILL')
  const view = await world.env.catalogs.open(folder)
  expect(view.get(text('left'))).toEqual(text('31'))
  expect(view.get(text('right'))).toEqual(text('31'))
  await view.close()
})

// Goal: all catalog views keep rows, order, atomicity and refusals alike.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Catalogs, CatalogView } from '../../../../engine/env/index.ts'
import { bytesOf, codeOf, text, type World, worlds } from './worlds.ts'

describe.each(worlds)('catalog on %s', (name, make) => {
  let world: World
  let catalogs: Catalogs
  let folder: string
  const drive = <T>(work: () => Promise<T>): Promise<T> => world.drive(work)

  beforeEach(async () => {
    world = await make()
    catalogs = world.env.catalogs
    folder = `${world.folder}/catalog.1`
  })
  afterEach(() => world.dispose())

  function put(view: CatalogView, key: string, value: string): void {
    view.change({ puts: [{ key: text(key), value: text(value) }], deletes: [] })
  }

  function get(view: CatalogView, key: string): string | undefined {
    const value = view.get(text(key))
    return value === undefined ? undefined : new TextDecoder().decode(value)
  }

  test('starts empty, keeps rows over close and open', () =>
    drive(async () => {
      const first = await catalogs.open(folder)
      expect(first.rows()).toEqual([])
      expect(first.get(text('a'))).toBeUndefined()
      put(first, 'a', '1')
      put(first, 'b', '2')
      put(first, 'a', '3')
      await first.close()
      const second = await catalogs.open(folder)
      expect([get(second, 'a'), get(second, 'b'), get(second, 'c')]).toEqual(['3', '2', undefined])
      await second.close()
    }))

  test('rows come in byte order, also for keys with zeros and high bytes; values may be empty', () =>
    drive(async () => {
      const view = await catalogs.open(folder)
      const keys = [
        bytesOf(255, 255),
        bytesOf(0),
        bytesOf(0, 0),
        bytesOf(127),
        bytesOf(128),
        bytesOf(1, 0, 9),
        bytesOf(1),
        new Uint8Array(500),
      ]
      view.change({ puts: keys.map(key => ({ key, value: key.length === 1 ? bytesOf() : key })), deletes: [] })
      const sorted = [...keys].sort((left, right) => Buffer.compare(left, right))
      expect(view.rows().map(row => [...row.key])).toEqual(sorted.map(key => [...key]))
      for (const { key, value } of view.rows()) {
        expect(value).toEqual(key.length === 1 ? bytesOf() : key)
        expect(view.get(key)).toEqual(value)
      }
      await view.close()
    }))

  test('a change is one: puts and deletes together, deletes of missing keys are fine', () =>
    drive(async () => {
      const view = await catalogs.open(folder)
      put(view, 'a', '1')
      put(view, 'b', '2')
      view.change({ puts: [{ key: text('c'), value: text('3') }], deletes: [text('a'), text('none')] })
      expect(view.rows().map(({ key }) => new TextDecoder().decode(key))).toEqual(['b', 'c'])
      view.change({ puts: [], deletes: [] })
      await view.close()
    }))

  test('results belong to the caller, arguments to nobody', () =>
    drive(async () => {
      const view = await catalogs.open(folder)
      const key = text('key')
      const value = text('value')
      view.change({ puts: [{ key, value }], deletes: [] })
      key.fill(0)
      value.fill(0)
      const got = view.get(text('key'))!
      const rows = view.rows()
      expect(Object.getPrototypeOf(got)).toBe(Uint8Array.prototype)
      got.fill(1)
      rows[0]!.key.fill(1)
      rows[0]!.value.fill(1)
      expect(get(view, 'key')).toBe('value')
      expect(view.rows()).toEqual([{ key: text('key'), value: text('value') }])
      await view.close()
    }))

  test('large values and many rows', () =>
    drive(async () => {
      const view = await catalogs.open(folder)
      const large = Uint8Array.from({ length: 300_000 }, (_, index) => index % 253)
      const puts = Array.from({ length: 2000 }, (_, index) => ({
        key: text(`row${String(index).padStart(5, '0')}`),
        value: text(`${index}`),
      }))
      view.change({ puts: [...puts, { key: text('large'), value: large }], deletes: [] })
      await view.close()
      const again = await catalogs.open(folder)
      expect(again.rows()).toHaveLength(2001)
      expect(Buffer.compare(again.get(text('large'))!, large)).toBe(0)
      expect(get(again, 'row01999')).toBe('1999')
      await again.close()
    }))

  test('views of one folder see each other', () =>
    drive(async () => {
      const left = await catalogs.open(folder)
      const right = await catalogs.open(folder)
      put(left, 'a', '1')
      expect(get(right, 'a')).toBe('1')
      put(right, 'a', '2')
      expect(get(left, 'a')).toBe('2')
      await left.close()
      put(right, 'b', '3')
      expect(right.rows()).toHaveLength(2)
      await right.close()
    }))

  test('readOnly refuses changes and a missing view', () =>
    drive(async () => {
      expect(await codeOf(() => catalogs.open(folder, { readOnly: true }))).toBe('NOT_FOUND')
      expect(await world.env.files.stat(folder)).toBeUndefined()
      const writer = await catalogs.open(folder)
      put(writer, 'a', '1')
      const reader = await catalogs.open(folder, { readOnly: true })
      expect(await codeOf(() => put(reader, 'a', '2'))).toBe('READ_ONLY')
      put(writer, 'a', '3')
      expect(get(reader, 'a')).toBe('3')
      await writer.close()
      await reader.close()
    }))

  test('wrong keys and repeated keys are refused before anything changes', () =>
    drive(async () => {
      const view = await catalogs.open(folder)
      const value = text('v')
      const refused = [
        { puts: [{ key: bytesOf(), value }], deletes: [] },
        { puts: [{ key: new Uint8Array(501), value }], deletes: [] },
        { puts: [{ key: text('a'), value }], deletes: [text('a')] },
        { puts: [], deletes: [text('a'), text('a')] },
        {
          puts: [
            { key: text('a'), value },
            { key: text('a'), value },
          ],
          deletes: [],
        },
      ]
      for (const change of refused) expect(await codeOf(() => view.change(change))).toBe('INVARIANT')
      expect(view.rows()).toEqual([])
      await view.close()
    }))

  test('a closed view answers CLOSED; closing twice is fine', () =>
    drive(async () => {
      const view = await catalogs.open(folder)
      await view.close()
      await view.close()
      for (const use of [() => view.get(text('a')), () => view.rows(), () => put(view, 'a', '1')]) expect(await codeOf(use)).toBe('CLOSED')
    }))

  test('remove takes the view, leaves foreign files, accepts a missing folder', () =>
    drive(async () => {
      const view = await catalogs.open(folder)
      put(view, 'a', '1')
      await view.close()
      const foreign = await world.env.files.open(`${folder}/foreign`, 'create')
      await foreign.close()
      await catalogs.remove(folder)
      expect(await world.env.files.list(folder)).toEqual(['foreign'])
      const fresh = await catalogs.open(folder)
      expect(fresh.rows()).toEqual([])
      await fresh.close()
      await world.env.files.remove(`${folder}/foreign`)
      await catalogs.remove(folder)
      expect(await world.env.files.stat(folder)).toBeUndefined()
      await catalogs.remove(folder)
    }))

  // The view in memory lies in no file.
  test.skipIf(name === 'memory')('an empty or truncated file is CORRUPT', () =>
    drive(async () => {
      const view = await catalogs.open(folder)
      for (let index = 0; index < 50; index++) put(view, `row${index}`, 'x'.repeat(200))
      await view.close()
      const path = `${folder}/data.mdb`
      for (const cut of [9000, 100, 0]) {
        const file = await world.env.files.open(path, 'write')
        await file.truncate(cut)
        await file.close()
        expect(await codeOf(() => catalogs.open(folder))).toBe('CORRUPT')
      }
    }),
  )
})

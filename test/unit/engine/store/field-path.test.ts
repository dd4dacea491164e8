/** Goal: a field path finds own fields and array elements and nothing else; what is no path is refused by name. */
import { expect, test } from 'vitest'
import { parseFieldPath, valueAtPath } from '../../../../engine/store/field-path.ts'

const at = (value: unknown, path: string): unknown => valueAtPath(value, parseFieldPath(path, 'path'))

test('names lead into objects, numbers into arrays', () => {
  const value = { city: 'Ulm', address: { lines: ['a', { zip: 7 }] }, '0': 'zero', none: null }
  expect(at(value, 'city')).toBe('Ulm')
  expect(at(value, 'address.lines.1.zip')).toBe(7)
  expect(at(value, 'address.lines.0')).toBe('a')
  expect(at(value, '0')).toBe('zero')
  expect(at(value, 'none')).toBeNull()
})

test('nothing is found in prototypes, beyond arrays, in primitives and bytes', () => {
  const value = { list: ['a'], text: 'abc', none: null, bytes: Uint8Array.of(1) }
  for (const path of [
    'constructor',
    'toString',
    '__proto__',
    'list.length',
    'list.01',
    'list.-1',
    'list.1',
    'text.0',
    'text.length',
    'none.x',
    'bytes.0',
    'x.y',
  ])
    expect(at(value, path), path).toBeUndefined()
  for (const root of [undefined, null, 5, 'abc', true]) expect(at(root, 'length')).toBeUndefined()
})

test('what is no path is refused by name', () => {
  for (const path of ['', '.', 'a.', '.a', 'a..b', 5, undefined, null, ['a']]) {
    expect(() => parseFieldPath(path, 'indexes.x.path'), String(path)).toThrow(/^indexes\.x\.path must be/)
  }
  expect(() => parseFieldPath('a'.repeat(1001), 'indexes.x.path')).toThrow(RangeError)
})

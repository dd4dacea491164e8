/** Goal: every value that a store can hold goes to JSON and comes back as it was, and what only looks like a special form is told apart. */
import { expect, test } from 'vitest'
import { formatJson, parseJson } from '../../../cli/json-values.ts'

const values: unknown[] = [
  null,
  true,
  0,
  -0,
  1.5,
  Number.NaN,
  Number.NEGATIVE_INFINITY,
  2n ** 80n,
  -3n,
  '',
  'a "quoted" \u2028 line\n',
  new Date(1_700_000_000_000),
  Uint8Array.of(0, 255),
  new Uint8Array(0),
  [1, [2n, undefined], { a: new Date(0) }],
  new Map<unknown, unknown>([
    [{ a: 1 }, 2n],
    ['b', new Set([1, 'x'])],
  ]),
  { $date: 'not one' },
  { $literal: { $bigint: 1 } },
  { $date: 1, more: 2 },
  { ['__proto__']: 1 },
  Float64Array.of(1.5, -0),
  /a+b/gi,
]

test('there and back', () => {
  for (const value of values) {
    const back = parseJson(formatJson(value), 'it')
    expect(back, formatJson(value)).toStrictEqual(value)
    expect(formatJson(value)).not.toContain('\n')
  }
  const error = parseJson(formatJson(new TypeError('no')), 'it') as Error
  expect([error instanceof Error, error.name, error.message]).toEqual([true, 'TypeError', 'no'])
  expect(Number.isNaN((parseJson(formatJson(new Date(Number.NaN)), 'it') as Date).getTime())).toBe(true)
})

test('a special form that is none is refused and named', () => {
  const bad = [
    '{"$date":"yesterday"}',
    '{"$bigint":12}',
    '{"$bytes":"0"}',
    '{"$number":"1"}',
    '{"$map":[1]}',
    '{"$set":1}',
    '{"$array":["Object","00"]}',
    '{"$array":["Float64Array","00"]}',
    '{"$regexp":"a"}',
    '{"$error":[1]}',
    '{"$literal":1}',
    '{"$ref":"x"}',
    '[{"$other":1}]',
  ]
  for (const text of bad) expect(() => parseJson(text, 'it'), text).toThrow(/no value|not hexadecimal/)
  expect(() => parseJson('{', 'the line')).toThrow(/^the line is not JSON: /)
})

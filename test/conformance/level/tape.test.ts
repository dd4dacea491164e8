/** Goal: our stand-in for tape misses nothing: what fails under tape fails here, and a fault in the database is found by the suite. */

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { QuickLevel } from './suite.ts'
import { Tape } from './tape.ts'

async function failuresOf(body: Parameters<Tape['test']>[1]): Promise<string[]> {
  const tape = new Tape()
  tape.test('one', body)
  await tape.run()
  return tape.failures.map(({ message }) => message.split('\n')[0] as string)
}

test('counts what holds', async () => {
  const tape = new Tape()
  tape.test('promise', async t => {
    t.is(1, 1)
    t.same({ a: [1] }, { a: [1] })
    t.throws(() => JSON.parse('{'), /JSON/)
  })
  tape.test('plan', t => {
    t.plan(1)
    queueMicrotask(() => t.ok(true))
  })
  tape.test('end', t => {
    t.isNot(1, 2)
    queueMicrotask(() => t.end())
  })
  await tape.run()
  expect({ failures: tape.failures, passes: tape.passes }).toEqual({ failures: [], passes: 5 })
})

test('finds each kind of failure', async () => {
  expect(await failuresOf(async t => t.is(1, 2, 'numbers'))).toEqual(['numbers'])
  expect(await failuresOf(async t => t.same([undefined], [null], 'items'))).toEqual(['items'])
  expect(await failuresOf(async t => t.throws(() => undefined))).toEqual(['throws'])
  expect(await failuresOf(async t => t.doesNotThrow(() => JSON.parse('{')))).toEqual(['does not throw'])
  expect(await failuresOf(async t => t.plan(1))).toEqual(['plan != count'])
  expect(await failuresOf(() => Promise.reject(new Error('thrown')))).toEqual(['Error: thrown'])
  expect(
    await failuresOf(() => {
      throw new Error('thrown')
    }),
  ).toEqual(['Error: thrown'])
})

test('an assertion after the end is a failure', async () => {
  const tape = new Tape()
  let late: () => void = () => undefined
  tape.test('one', async t => {
    late = () => t.pass('late')
  })
  await tape.run()
  late()
  expect(tape.failures.map(({ message }) => message)).toEqual(['after the end: late'])
})

test('the suite finds a delete that does nothing', async () => {
  class Faulty extends QuickLevel {
    override async _del(): Promise<void> {
      // The fault.
    }
  }
  const require = createRequire(import.meta.url)
  const common = require('abstract-level/test/common')
  const { all } = require('abstract-level/test/del-test')
  const root = mkdtempSync(join(tmpdir(), 'varve-level-'))
  try {
    let count = 0
    const found: number[] = []
    for (const Level of [QuickLevel, Faulty]) {
      const tape = new Tape()
      const factory = (options?: object) => new Level(join(root, String(count++)), options)
      all(tape.test, common({ test: tape.test, factory }))
      await tape.run()
      found.push(tape.failures.length)
    }
    expect(found[0]).toBe(0)
    expect(found[1]).toBeGreaterThan(0)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
})

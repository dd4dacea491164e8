/** Goal: errors keep the promises that callers build on: stable codes, the cause, the place of damage, and which disk error becomes which code. */

import { describe, expect, test } from 'vitest'
import { assert, corrupt, errorCodes, ioError, isVarveError, VarveError } from '../../../engine/errors.ts'

/** What `run` throws. */
function thrownBy(run: () => void): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

describe('VarveError', () => {
  test('carries code, message, cause and details, and is an Error', () => {
    const cause = new Error('below')
    const error = new VarveError('LOCKED', 'in use', { cause, details: { owner: { pid: 7 } } })
    expect(error).toBeInstanceOf(Error)
    expect(error.name).toBe('VarveError')
    expect(error.code).toBe('LOCKED')
    expect(error.message).toBe('in use')
    expect(error.cause).toBe(cause)
    expect(error.details).toEqual({ owner: { pid: 7 } })
  })

  test('has no own cause when none is given, and empty details', () => {
    const error = new VarveError('CLOSED', 'closed')
    expect(Object.hasOwn(error, 'cause')).toBe(false)
    expect(error.details).toEqual({})
  })

  test('keeps a falsy cause', () => {
    expect(new VarveError('IO', 'x', { cause: null }).cause).toBeNull()
  })
})

test('every code is upper case and explained', () => {
  expect(Object.keys(errorCodes).length).toBeGreaterThan(0)
  for (const [code, meaning] of Object.entries(errorCodes)) {
    expect(code).toMatch(/^[A-Z][A-Z_]*$/)
    expect(meaning).not.toBe('')
  }
})

test('isVarveError compares class and, when asked, code', () => {
  const error = new VarveError('BUSY', 'wait')
  expect(isVarveError(error)).toBe(true)
  expect(isVarveError(error, 'BUSY')).toBe(true)
  expect(isVarveError(error, 'IO')).toBe(false)
  expect(isVarveError({ name: 'VarveError', code: 'BUSY' })).toBe(false)
  expect(isVarveError(undefined)).toBe(false)
})

test('corrupt names file and position in message and details, and the place wins over given details', () => {
  const error = corrupt('bad checksum', 'a/1.seg', 512, { expected: 1, actual: 2, position: 9 })
  expect(error.code).toBe('CORRUPT')
  expect(error.message).toContain('a/1.seg')
  expect(error.message).toContain('512')
  expect(error.details).toEqual({ file: 'a/1.seg', position: 512, expected: 1, actual: 2 })
})

describe('ioError', () => {
  test.each([
    ['ENOSPC', 'NO_SPACE'],
    ['EDQUOT', 'NO_SPACE'],
    ['EROFS', 'READ_ONLY'],
    ['EACCES', 'READ_ONLY'],
    ['EPERM', 'READ_ONLY'],
    ['EIO', 'IO'],
    [undefined, 'IO'],
  ])('%s becomes %s', (code, expected) => {
    const cause = Object.assign(new Error('from the system'), { code })
    const error = ioError(cause, 'f', 'write')
    expect(error.code).toBe(expected)
    expect(error.cause).toBe(cause)
    expect(error.details.file).toBe('f')
    expect(error.message).toBe('f: write failed: from the system')
  })

  test('does not wrap a VarveError again', () => {
    const error = new VarveError('NO_SPACE', 'full')
    expect(ioError(error, 'f', 'write')).toBe(error)
  })

  test.each([[null], ['text'], [undefined]])('takes %s as a cause', cause => {
    expect(ioError(cause, 'f', 'sync').code).toBe('IO')
  })
})

test('assert passes a true condition and throws INVARIANT with the values of a false one', () => {
  expect(() => assert(true, 'never')).not.toThrow()
  const error = thrownBy(() => assert(false, 'lengths differ', 3, 4))
  expect(isVarveError(error, 'INVARIANT')).toBe(true)
  expect((error as VarveError).details).toEqual({ actual: 3, expected: 4 })
  expect((error as VarveError).message).toContain('lengths differ')
})

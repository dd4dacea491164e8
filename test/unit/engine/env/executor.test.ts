// Goal: tasks run in order, one at a time, in a worker or inline; errors and progress arrive whole; a dead worker costs one task.
import { execFileSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createNodeEnvironment, createSimEnvironment, type Executor, resolveWorkerUrl } from '../../../../engine/env/index.ts'
import { isVarveError, VarveError } from '../../../../engine/errors.ts'
// @ts-expect-error plain JavaScript, shared with the worker thread
import { testRunners } from './test-runners.mjs'
import { bytesOf, codeOf, testWorker, text, type World, worlds } from './worlds.ts'

describe.each(worlds)('executor on %s', (_, make) => {
  let world: World
  let executor: Executor

  beforeEach(async () => {
    world = await make(testRunners(VarveError))
    executor = world.env.createExecutor()
  })
  afterEach(async () => {
    await world.drive(() => executor.close())
    await world.dispose()
  })

  test('answers, in the order of calls', () =>
    world.drive(async () => {
      const order: number[] = []
      await Promise.all([1, 2, 3].map(async left => order.push(await executor.run<number>({ kind: 'add', input: { left, right: 10 } }))))
      expect(order).toEqual([11, 12, 13])
    }))

  test('progress arrives before the answer', () =>
    world.drive(async () => {
      const seen: string[] = []
      const onProgress = (done: number, total: number): number => seen.push(`${done}/${total}`)
      expect(await executor.run({ kind: 'progress', input: undefined }, { onProgress })).toBe('reported')
      expect(seen).toEqual(['1/3', '2/3', '3/3'])
    }))

  test('a VarveError keeps code, message, details and cause; other errors become TASK_FAILED', () =>
    world.drive(async () => {
      const failure = (await executor.run({ kind: 'fail', input: { code: 'NO_SPACE' } }).catch((thrown: unknown) => thrown)) as VarveError
      expect(isVarveError(failure, 'NO_SPACE')).toBe(true)
      expect(failure.message).toBe('told to fail')
      expect(failure.details).toEqual({ file: 'a.seg', position: 42 })
      expect(failure.cause).toMatchObject({ message: 'the reason', code: 'EIO' })
      const plain = (await executor.run({ kind: 'throwPlain', input: 0 }).catch((thrown: unknown) => thrown)) as VarveError
      expect(isVarveError(plain, 'TASK_FAILED')).toBe(true)
      expect(plain.message).toContain('not a varve error')
      expect((plain.cause as Error).message).toBe('not a varve error')
      expect(await executor.run({ kind: 'add', input: { left: 1, right: 1 } })).toBe(2)
    }))

  test('unknown kinds and data that cannot cross a thread are TASK_FAILED, and the next task runs', () =>
    world.drive(async () => {
      expect(await codeOf(() => executor.run({ kind: 'toString', input: 0 }))).toBe('TASK_FAILED')
      expect(await codeOf(() => executor.run({ kind: 'add', input: { left: () => 1 } }))).toBe('TASK_FAILED')
      expect(await codeOf(() => executor.run({ kind: 'uncloneable', input: 0 }))).toBe('TASK_FAILED')
      expect(await executor.run({ kind: 'add', input: { left: 1, right: 1 } })).toBe(2)
    }))

  test('shared memory is shared, other input is copied', () =>
    world.drive(async () => {
      const shared = new SharedArrayBuffer(8)
      const filling = executor.run({ kind: 'fill', input: { shared, value: 9 } })
      await filling
      expect([...new Uint8Array(shared)]).toEqual(new Array(8).fill(9))
    }))

  test('tasks see the files and catalogs of the environment', () =>
    world.drive(async () => {
      const path = `${world.folder}/made`
      expect(await executor.run({ kind: 'writeFile', input: { path, bytes: bytesOf(1, 2) } })).toBe(true)
      expect(await world.env.files.stat(path)).toEqual({ size: 2, isDirectory: false })
      const folder = `${world.folder}/catalog`
      expect(await executor.run({ kind: 'changeCatalog', input: { folder, key: text('k'), value: text('v') } })).toBe(1)
      const view = await world.env.catalogs.open(folder, { readOnly: true })
      expect(view.get(text('k'))).toEqual(text('v'))
      await view.close()
    }))

  test('close finishes the running task, rejects waiting and later ones, and is idempotent', () =>
    world.drive(async () => {
      const running = executor.run({ kind: 'add', input: { left: 1, right: 2 } })
      const waiting = codeOf(() => executor.run({ kind: 'add', input: { left: 1, right: 2 } }))
      await Promise.all([executor.close(), executor.close()])
      expect([await running, await waiting]).toEqual([3, 'CLOSED'])
      expect(await codeOf(() => executor.run({ kind: 'add', input: {} }))).toBe('CLOSED')
      await executor.close()
    }))
})

describe('worker threads', () => {
  const run = (program: string): string => {
    const entry = new URL('../../../../dist/engine/env/index.js', import.meta.url).href
    const head = `
      import { createNodeEnvironment } from ${JSON.stringify(entry)}
      const executor = createNodeEnvironment({ worker: new URL(${JSON.stringify(testWorker.href)}) }).createExecutor()
      process.on('exit', () => console.log('exit'))\n`
    return execFileSync(process.execPath, ['--input-type=module', '-e', head + program], { encoding: 'utf8', timeout: 20_000 })
  }

  test.each([
    ['exit', 'exit code 3'],
    ['crash', 'thrown outside the task'],
  ])('a worker that dies by %s fails its task only; the next one gets a new worker', async (kind, reason) => {
    const executor = createNodeEnvironment({ worker: testWorker }).createExecutor()
    const dying = executor.run({ kind, input: 0 }).catch((thrown: unknown) => thrown)
    const next = executor.run({ kind: 'add', input: { left: 2, right: 2 } })
    const error = (await dying) as VarveError
    expect(error.code).toBe('TASK_FAILED')
    expect(error.message).toContain(reason)
    expect(await next).toBe(4)
    await executor.close()
  })

  test('a worker that cannot start fails the task', async () => {
    const executor = createNodeEnvironment({ worker: new URL('file:///none/worker.js') }).createExecutor()
    expect(await codeOf(() => executor.run({ kind: 'add', input: {} }))).toBe('TASK_FAILED')
    expect(await codeOf(() => executor.run({ kind: 'add', input: {} }))).toBe('TASK_FAILED')
    await executor.close()
  })

  test.skipIf(process.platform !== 'linux')('the worker gives way to the other threads of the process', () => {
    const niceOf = `(await import('node:fs')).readdirSync('/proc/self/task').map(id => +readFileSync('/proc/self/task/' + id + '/stat', 'utf8').split(') ')[1].split(' ')[16])`
    const [before, after] = run(`
      const { readFileSync } = await import('node:fs')
      const highest = async () => Math.max(...${niceOf})
      const before = await highest()
      await executor.run({ kind: 'add', input: { left: 1, right: 2 } })
      console.log(before + ' ' + await highest())`)
      .split(/\s/)
      .map(Number) as [number, number]
    expect(after).toBe(Math.min(19, before + 5))
  })

  test('no thread before the first task; an idle worker lets the process end, a busy one does not', () => {
    const threads = `(await import('node:fs')).readdirSync('/proc/self/task').length`
    expect(
      run(`const before = ${threads}
      createNodeEnvironment({ worker: new URL('file:///none') }).createExecutor()
      console.log(before === ${threads})`),
    ).toBe('true\nexit\n')
    expect(run(`console.log(await executor.run({ kind: 'add', input: { left: 1, right: 2 } }))`)).toBe('3\nexit\n')
    expect(run(`executor.run({ kind: 'sleep', input: { ms: 200 } }).then(console.log)`)).toBe('slept\nexit\n')
    expect(
      run(`executor.run({ kind: 'sleep', input: { ms: 100 } }).then(console.log); await executor.close(); console.log('closed')`),
    ).toBe('slept\nclosed\nexit\n')
  })

  test('the worker of a TypeScript module is its compiled one, or an error that says what to do', () => {
    const root = new URL('../../../../', import.meta.url)
    const ts = new URL('engine/env/index.ts', root).href
    const hasTypes = Boolean((process.features as { typescript?: unknown }).typescript)
    expect(resolveWorkerUrl(ts, 'engine/env/run-task').href).toBe(
      new URL(hasTypes ? 'engine/env/run-task.ts' : 'dist/engine/env/run-task.js', root).href,
    )
    if (!hasTypes) expect(() => resolveWorkerUrl(ts, 'engine/no-such-worker')).toThrow('npm run build')
    expect(() => resolveWorkerUrl(pathToFileURL('/nowhere/a.ts').href, 'engine/worker')).toThrow('package.json')
  })

  test('the worker of a compiled module lies in the nearest folder above it that has one, a bundle or the compiled sources', () => {
    const root = new URL('../../../../', import.meta.url)
    for (const folder of ['dist', 'lib']) {
      const worker = new URL(`${folder}/engine/worker.js`, root).href
      expect(resolveWorkerUrl(new URL(`${folder}/engine/store/store.js`, root).href, 'engine/worker').href).toBe(worker)
      expect(resolveWorkerUrl(new URL(`${folder}/index.js`, root).href, 'engine/worker').href).toBe(worker)
    }
    expect(() => resolveWorkerUrl(new URL('dist/index.js', root).href, 'engine/no-such-worker')).toThrow('npm run build')
    expect(() => resolveWorkerUrl(pathToFileURL('/nowhere/a.js').href, 'engine/worker')).toThrow('package.json')
  })
})

describe('simulated workers', () => {
  test('a killed worker fails its task, its files are dead, and the next task gets a new one', async () => {
    const env = createSimEnvironment({ seed: 3, runners: testRunners(VarveError) })
    const executor = env.createExecutor()
    await env.drive(async () => {
      const waiting = codeOf(() => executor.run({ kind: 'wait', input: { path: '/never' } }))
      const next = executor.run({ kind: 'add', input: { left: 1, right: 1 } })
      await new Promise<void>(resolve => env.timers.after(5, resolve))
      env.killWorkers()
      expect(await waiting).toBe('TASK_FAILED')
      expect(await next).toBe(2)
      expect(await env.files.list('/')).toEqual([])
    })
  })
})

// Goal: a folder has one owner; a dead owner's lock is taken over, a live one's never, however the lock file came to be what it is.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import { hostname } from 'node:os'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Locks } from '../../../../engine/env/index.ts'
import { isAlive, ownIdentity, type ProcessIdentity, parseIdentity } from '../../../../engine/env/node/process-identity.ts'
import { codeOf, nodeWorld, type World, worlds } from './worlds.ts'

describe.each(worlds)('locks on %s', (_, make) => {
  let world: World
  beforeEach(async () => {
    world = await make()
  })
  afterEach(() => world.dispose())

  test('taken once, named, released, taken again; a deleted file is healed by check', () =>
    world.drive(async () => {
      const { locks, files } = world.env
      const path = `${world.folder}/LOCK`
      const lock = await locks.acquire(path)
      const error = await locks.acquire(path).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'LOCKED', details: { owner: { pid: lock.owner.pid, host: lock.owner.host } } })
      expect((error as Error).message).toContain(String(lock.owner.pid))
      expect((error as Error).message).toContain(lock.owner.host)
      expect(await files.list(world.folder)).toEqual(['LOCK'])
      await lock.check()
      await files.remove(path)
      await lock.check()
      expect(await files.list(world.folder)).toEqual(['LOCK'])
      expect(await codeOf(() => locks.acquire(path))).toBe('LOCKED')
      await lock.release()
      await lock.release()
      expect(await codeOf(() => lock.check())).toBe('CLOSED')
      expect(await files.list(world.folder)).toEqual([])
      await (await locks.acquire(path)).release()
    }))
})

describe('lock files', () => {
  let world: World
  let locks: Locks
  let path: string
  const children: ChildProcess[] = []

  beforeEach(async () => {
    world = await nodeWorld()
    locks = world.env.locks
    path = `${world.folder}/LOCK`
  })
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await world.dispose()
  })

  /** A child process that takes the lock and keeps it; resolves when it has it. */
  async function startHolder(): Promise<ChildProcess> {
    const entry = new URL('../../../../dist/engine/env/index.js', import.meta.url).href
    const program = `
      import { createNodeEnvironment } from ${JSON.stringify(entry)}
      const { locks } = createNodeEnvironment({ worker: new URL('file:///none') })
      try {
        await locks.acquire(process.argv[1])
        console.log('held')
      } catch (error) { console.log(error.code) }
      setInterval(() => undefined, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    const said = await new Promise<string>(resolve => child.stdout!.once('data', data => resolve(String(data).trim())))
    expect(['held', 'LOCKED']).toContain(said)
    return said === 'held' ? child : Promise.reject(new Error('not held'))
  }

  async function end(child: ChildProcess): Promise<void> {
    const ended = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  function write(owner: Partial<ProcessIdentity>): void {
    fs.writeFileSync(path, JSON.stringify({ ...ownIdentity(), ...owner }))
  }

  test('a live child process holds it; killed, it does not', async () => {
    const child = await startHolder()
    const error = await locks.acquire(path).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'LOCKED', details: { owner: { pid: child.pid, host: hostname() } } })
    expect((error as Error).message).toContain(`process ${child.pid} on ${hostname()}`)
    await end(child)
    const lock = await locks.acquire(path)
    expect(fs.readdirSync(world.folder)).toEqual(['LOCK'])
    await expect(startHolder()).rejects.toThrow('not held')
    await lock.release()
  })

  test('stale by dead pid, by boot, by the time its process started', async () => {
    const gone = Number(execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }))
    for (const owner of [{ pid: gone }, { bootId: 'another boot' }, { pid: process.ppid, processStart: '1' }]) {
      write(owner)
      const lock = await locks.acquire(path)
      expect(parseIdentity(fs.readFileSync(path, 'utf8'))?.pid).toBe(process.pid)
      await lock.release()
    }
    expect(fs.readdirSync(world.folder)).toEqual([])
  })

  test('live: a parent process, another thread of this one, another host, another container', async () => {
    const parentStart = fs.readFileSync(`/proc/${process.ppid}/stat`, 'utf8').split(') ').pop()!.split(' ')[19]!
    const live: Partial<ProcessIdentity>[] = [
      { pid: process.ppid, processStart: parentStart },
      {},
      { host: 'elsewhere', bootId: 'another boot', pid: 999_999_999 },
      { host: 'container', pidNamespace: 'pid:[1]', pid: 999_999_999 },
    ]
    for (const owner of live) {
      write(owner)
      const before = fs.readFileSync(path, 'utf8')
      expect(await codeOf(() => locks.acquire(path))).toBe('LOCKED')
      expect(fs.readFileSync(path, 'utf8')).toBe(before)
    }
    expect(fs.readdirSync(world.folder)).toEqual(['LOCK'])
  })

  test('without boot id and start time only the pid decides', () => {
    const here: ProcessIdentity = { ...ownIdentity(), bootId: '', pidNamespace: '' }
    const owner: ProcessIdentity = { ...here, processStart: '' }
    expect(isAlive(owner, here)).toBe(true)
    expect(isAlive({ ...owner, pid: 999_999_999 }, here)).toBe(false)
    expect(isAlive({ ...owner, pid: 999_999_999, host: 'elsewhere' }, here)).toBe(true)
  })

  test('a renamed machine in the same boot is still judged by the pid', () => {
    const here = ownIdentity()
    expect(isAlive({ ...here, host: 'old-name', pid: 999_999_999 }, here)).toBe(here.pidNamespace === '')
    expect(isAlive({ ...here, host: 'old-name' }, here)).toBe(true)
  })

  test.each(['', '{"pid":', 'null', '{"pid":-1}', '{"pid":1}'])('a damaged lock %j is respected while it is young', async content => {
    fs.writeFileSync(path, content)
    expect(await codeOf(() => locks.acquire(path))).toBe('LOCKED')
    const old = Date.now() / 1000 - 60
    fs.utimesSync(path, old, old)
    await (await locks.acquire(path)).release()
    fs.writeFileSync(path, content)
    fs.utimesSync(path, old + 3600, old + 3600)
    await (await locks.acquire(path)).release()
    expect(fs.readdirSync(world.folder)).toEqual([])
  })

  test('the lock file deleted and taken by another process: check says so, release leaves it alone', async () => {
    const lock = await locks.acquire(path)
    fs.unlinkSync(path)
    const child = await startHolder()
    expect(await lock.check().catch((thrown: unknown) => thrown)).toMatchObject({ code: 'LOCKED', details: { owner: { pid: child.pid } } })
    await lock.release()
    expect(parseIdentity(fs.readFileSync(path, 'utf8'))?.pid).toBe(child.pid)
  })

  test('a live lock that was moved aside by mistake keeps its right', async () => {
    const child = await startHolder()
    fs.renameSync(path, `${path}.stale-1-0000`)
    expect(await codeOf(() => locks.acquire(path))).toBe('LOCKED')
    expect(fs.readdirSync(world.folder)).toEqual(['LOCK.stale-1-0000'])
    await end(child)
    const lock = await locks.acquire(path)
    expect(fs.readdirSync(world.folder)).toEqual(['LOCK'])
    fs.renameSync(path, `${path}.stale-2-0000`)
    await lock.check()
    expect(fs.readdirSync(world.folder)).toContain('LOCK')
    // Somebody who has linked the name in between, and will give it back as soon as he has looked around.
    write({ pid: process.ppid, processStart: '' })
    await lock.check()
    fs.unlinkSync(path)
    await lock.release()
    expect(fs.readdirSync(world.folder)).toEqual([])
  })

  test('of many that break the same stale lock at once, one wins', async () => {
    const entry = new URL('../../../../dist/engine/env/index.js', import.meta.url).href
    const program = `
      import { createNodeEnvironment } from ${JSON.stringify(entry)}
      import fs from 'node:fs'
      const { locks } = createNodeEnvironment({ worker: new URL('file:///none') })
      const [path, go] = process.argv.slice(1)
      process.stdout.write('ready')
      while (!fs.existsSync(go)) {}
      try {
        await locks.acquire(path)
        process.stdout.write('+')
      } catch (error) { process.stdout.write(error.code === 'LOCKED' ? '-' : String(error.stack)) }
      process.stdin.resume()`
    for (let round = 0; round < 5; round++) {
      write({ bootId: `old boot ${round}` })
      const go = `${world.folder}/go${round}`
      const contenders = Array.from({ length: 4 }, () => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', program, path, go], { stdio: ['pipe', 'pipe', 'inherit'] })
        children.push(child)
        const output = { text: '' }
        child.stdout.on('data', data => (output.text += data))
        return { child, output }
      })
      const until = async (isReached: (output: string) => boolean): Promise<void> => {
        while (!contenders.every(({ output }) => isReached(output.text))) await new Promise(resolve => setTimeout(resolve, 5))
      }
      await until(output => output.length >= 5)
      fs.writeFileSync(go, '')
      await until(output => output.length >= 6)
      expect(contenders.map(({ output }) => output.text.slice(5)).sort()).toEqual(['+', '-', '-', '-'])
      await Promise.all(contenders.map(({ child }) => end(child)))
    }
  })
})

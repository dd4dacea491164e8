/**
 * The other peer of topics: a stream of Redis with `appendfsync always`, so that an answer means the disk, as an acknowledgement of Varve does. A server of its own
 * over a socket in the run's folder, which ends with the run; client ioredis. Memory, bytes written and loop of the run are those of the client alone.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Measurement } from '../../measurement.ts'
import { loadPeer, peerVersion } from '../../peer-packages.ts'
import { expectEqual } from '../../workload.ts'
import { type BenchRecord, keyBytes, RecordSource } from '../records.ts'
import { writeWithin } from './database.ts'

const stream = 'queue'
const startMsMax = 10_000
const readCount = 1000

type Fields = readonly [name: string, key: Buffer, name: string, value: Buffer]

interface Pipeline {
  xadd(stream: string, id: '*', ...fields: Fields): unknown
  exec(): Promise<readonly (readonly [Error | null, unknown])[] | null>
}

interface Client {
  connect(): Promise<void>
  pipeline(): Pipeline
  xadd(stream: string, id: '*', ...fields: Fields): Promise<unknown>
  xlen(stream: string): Promise<number>
  xrangeBuffer(stream: string, from: string, to: string, word: 'COUNT', count: number): Promise<[id: Buffer, fields: Buffer[]][]>
  disconnect(): void
}

interface Server {
  readonly client: Client
  /** Ends client and server. */
  stop(): Promise<void>
}

/** False where the server is not on the path or the client is not installed: its workloads are left out then. */
export function hasRedis(): boolean {
  return 'version' in peerVersion('ioredis') && spawnSync('redis-server', ['--version']).status === 0
}

async function startServer(folder: string): Promise<Server> {
  const path = join(folder, 'redis.sock')
  const settings = { port: '0', unixsocket: path, dir: folder, save: '', appendonly: 'yes', appendfsync: 'always', loglevel: 'warning' }
  const child = spawn(
    'redis-server',
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    { stdio: 'ignore' },
  )
  try {
    for (const begun = performance.now(); !existsSync(path); await setTimeout(5)) {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
      if (performance.now() - begun > startMsMax) throw new Error(`redis-server made no socket in ${startMsMax / 1000} s`)
    }
    const { Redis } = loadPeer<{ readonly Redis: new (options: { readonly path: string; readonly lazyConnect: true }) => Client }>(
      'ioredis',
    )
    const client = new Redis({ path, lazyConnect: true })
    await client.connect()
    return { client, stop: () => stopServer(child, client) }
  } catch (error) {
    child.kill()
    throw error
  }
}

async function stopServer(child: ChildProcess, client: Client): Promise<void> {
  client.disconnect()
  if (child.exitCode !== null) return
  const ended = once(child, 'exit')
  child.kill()
  await ended
}

async function withServer(folder: string, body: (client: Client) => Promise<void>): Promise<void> {
  const server = await startServer(folder)
  try {
    await body(server.client)
  } finally {
    await server.stop()
  }
}

/** Copies: the source fills its bytes anew while the client still holds them. */
function fieldsOf({ key, value }: BenchRecord): Fields {
  return ['k', Buffer.from(key), 'v', Buffer.from(value)]
}

async function addBatch(client: Client, records: readonly BenchRecord[]): Promise<void> {
  const pipeline = client.pipeline()
  for (const record of records) pipeline.xadd(stream, '*', ...fieldsOf(record))
  for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error
}

export interface RedisSendParameters {
  readonly [name: string]: number
  readonly records: number
  readonly batch: number
  readonly window: number
}

/** Pipelines of `batch` records, so many at a time. */
export async function redisSendBatches(measurement: Measurement, { records, batch, window: limit }: RedisSendParameters): Promise<void> {
  await withServer(measurement.folder, async client => {
    const source = new RecordSource(batch)
    await measurement.measure(async () => {
      await writeWithin(limit, Math.ceil(records / batch), () => {
        const begun = measurement.begin()
        return addBatch(client, source.next()).then(() => measurement.end(begun))
      })
      return { operations: records, payloadBytes: records * (keyBytes + 100) }
    })
    expectEqual('records sent', await client.xlen(stream), records)
  })
}

export interface RedisCallers {
  readonly [name: string]: number
  readonly appends: number
  readonly callers: number
}

/** Callers that await each record before the next. */
export async function redisSendSingly(measurement: Measurement, { appends, callers }: RedisCallers): Promise<void> {
  await withServer(measurement.folder, async client => {
    const caller = async (): Promise<void> => {
      const source = new RecordSource(1)
      for (let i = 0; i < appends / callers; i++) {
        const begun = measurement.begin()
        await client.xadd(stream, '*', ...fieldsOf(source.next()[0] as BenchRecord))
        measurement.end(begun)
      }
    }
    await measurement.measure(async () => {
      await Promise.all(Array.from({ length: callers }, caller))
      return { operations: appends, payloadBytes: appends * (keyBytes + 100) }
    })
    expectEqual('records sent', await client.xlen(stream), appends)
  })
}

/** From start to end, 1000 records a call. */
export async function redisRead(
  measurement: Measurement,
  { records, batch }: { readonly [name: string]: number; readonly records: number; readonly batch: number },
): Promise<void> {
  await withServer(measurement.folder, async client => {
    const source = new RecordSource(batch)
    for (let i = 0; i * batch < records; i++) await addBatch(client, source.next())
    let count = 0
    let bytes = 0
    await measurement.measure(async () => {
      for (let from = '-'; ; ) {
        const entries = await client.xrangeBuffer(stream, from, '+', 'COUNT', readCount)
        for (const [, [, key, , value]] of entries) bytes += (key?.length ?? 0) + (value?.length ?? 0)
        count += entries.length
        const last = entries.at(-1)
        if (last === undefined || entries.length < readCount) break
        from = `(${last[0].toString()}`
      }
      return { operations: count, payloadBytes: bytes }
    })
    expectEqual('records read', count, records)
  })
}

/** `varve topics`: lists, describes, makes, changes and deletes topics. */
import type { TopicCleanup, TopicCodecName } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatBytes, plural, print, printJson, table } from '../output.ts'
import { withDatabase } from '../stores.ts'
import { findTopic } from '../topics.ts'

export interface TopicsOptions {
  readonly json: boolean
  readonly create?: boolean
  readonly delete?: boolean
  readonly renameTo?: string
  readonly partitions?: number
  readonly key?: string
  readonly keyCodec?: TopicCodecName
  readonly value?: TopicCodecName
  readonly cleanup?: TopicCleanup
  readonly retentionMs?: number
  readonly retentionBytes?: number
  readonly keyIndex?: 'on' | 'off'
}

/** Without a name: a line a topic. With one: what is done, or its partitions. */
export async function runTopics(path: string, name: string | undefined, options: TopicsOptions): Promise<number> {
  const { json, create = false, renameTo } = options
  if (name === undefined) return await list(path, json)
  if ([create, options.delete === true, renameTo !== undefined].filter(Boolean).length > 1)
    throw new RangeError('--create, --delete and --rename-to exclude each other')
  return await withDatabase(path, { create }, async db => {
    let shown = name
    if (create) await db.topic(name, definitionOf(options)).ready()
    else {
      const topic = findTopic(db, name)
      if (options.delete === true) {
        await db.deleteTopic(name)
        await (json ? printJson({ deleted: name }) : print(`${name}: deleted\n`))
        return exitCodes.ok
      }
      if (renameTo !== undefined) {
        await db.renameTopic(name, renameTo)
        shown = renameTo
      }
      const retention = retentionOf(options)
      if (retention !== undefined) await topic.alter({ retention })
      if (options.keyIndex !== undefined) {
        await topic.alter({ keyIndex: options.keyIndex === 'on' })
        await topic.ready()
      }
      if (options.partitions !== undefined) await topic.addPartitions(options.partitions)
    }
    const described = findTopic(db, shown).describe()
    if (json) await printJson(described)
    else {
      const rows = described.partitions.map(({ partition, startOffset, highWatermark, lastStableOffset }) => [
        partition,
        startOffset,
        highWatermark,
        lastStableOffset,
        highWatermark - startOffset,
      ])
      const { partitions: _, ...rest } = described.options
      await print(`${shown}: ${plural(rows.length, 'partition')}, ${JSON.stringify(rest)}\n`)
      await print(table([['partition', 'start', 'end', 'stable end', 'offsets'], ...rows]))
    }
    return exitCodes.ok
  })
}

function list(path: string, json: boolean): Promise<number> {
  return withDatabase(path, { create: false }, async db => {
    const topics = db.topicNames().map(name => {
      const { partitions, options } = findTopic(db, name).describe()
      const records = partitions.reduce((sum, { startOffset, highWatermark }) => sum + highWatermark - startOffset, 0)
      return { name, partitions: partitions.length, offsets: records, cleanup: options.cleanup ?? 'delete', value: options.value }
    })
    if (json) await printJson({ path, topics })
    else if (topics.length === 0) await print(`${path}: no topics\n`)
    else {
      const rows = topics.map(({ name, partitions, offsets, cleanup, value }) => [name, partitions, offsets, cleanup, value])
      await print(table([['topic', 'partitions', 'offsets', 'cleanup', 'values'], ...rows]))
    }
    return exitCodes.ok
  })
}

/** `varve retention`: moves everything into segments, deletes what may go now, of one topic or of all, and says what is left. */
export function runRetention(path: string, name: string | undefined, options: { readonly json: boolean }): Promise<number> {
  return withDatabase(path, { create: false }, async db => {
    const topic = name === undefined ? undefined : findTopic(db, name)
    // What is not sealed is never deleted.
    await db.seal()
    const results = await (topic?.applyRetention() ?? db.applyRetention())
    const names = name === undefined ? db.topicNames() : [name]
    const left = names.map(each => {
      const { partitions } = findTopic(db, each).stats()
      const bytes = partitions.reduce((sum, { sealedBytes }) => sum + sealedBytes, 0)
      return {
        topic: each,
        partitions: partitions.map(({ partition, startOffset, endOffset }) => ({ partition, startOffset, endOffset })),
        bytes,
      }
    })
    if (options.json) await printJson({ deleted: results, left })
    else {
      const rows = left.map(({ topic: each, partitions, bytes }) => [
        each,
        partitions.length,
        partitions.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0),
        formatBytes(bytes),
      ])
      await print(`${path}: ${plural(results.length, 'partition')} with less than before\n`)
      await print(table([['topic', 'partitions', 'offsets', 'on disk'], ...rows]))
    }
    return exitCodes.ok
  })
}

function definitionOf(options: TopicsOptions): object {
  const { partitions, key, keyCodec, value, cleanup } = options
  const keyIndex = options.keyIndex === undefined ? undefined : options.keyIndex === 'on'
  const given = { partitions, key, keyCodec, value, cleanup, keyIndex, retention: retentionOf(options) }
  return Object.fromEntries(Object.entries(given).filter(([, option]) => option !== undefined))
}

function retentionOf({ retentionMs, retentionBytes }: TopicsOptions): object | undefined {
  if (retentionMs === undefined && retentionBytes === undefined) return undefined
  return {
    ...(retentionMs === undefined ? {} : { timeMs: retentionMs }),
    ...(retentionBytes === undefined ? {} : { bytes: retentionBytes }),
  }
}

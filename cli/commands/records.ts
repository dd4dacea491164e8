/** `varve produce`, `consume`, `replay`: records of a topic, in and out. */
import { createInterface } from 'node:readline'
import type { ConsumedRecord, ConsumeFrom, Outgoing } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { InputError } from '../input-error.ts'
import { fromJson } from '../json-values.ts'
import { plural, print, printJson } from '../output.ts'
import { withProgress } from '../progress.ts'
import { findStore, type ValueNotation, withDatabase } from '../stores.ts'
import { type AnyTopic, findTopic, recordJson, recordLine, timeOf, topicKey, topicValue } from '../topics.ts'

const batchRecords = 1000

export interface ProduceOptions {
  readonly json: boolean
  readonly valuesAs: ValueNotation
  readonly key?: string
  readonly partition?: number
  readonly records?: boolean
  readonly ttlMs?: number
  readonly delayMs?: number
  readonly expectedVersion?: number
}

/** `valueText` undefined: a value a line of stdin, or with `records` an object with key, value, headers, timestamp, partition. */
export function runProduce(path: string, name: string, valueText: string | undefined, options: ProduceOptions): Promise<number> {
  const { json, valuesAs, key, partition, records = false, ttlMs, delayMs, expectedVersion } = options
  if (expectedVersion !== undefined && valueText === undefined) throw new RangeError('--expected-version is of one value')
  return withDatabase(path, { create: false }, async db => {
    const topic = findTopic(db, name)
    const place = { ...(key === undefined ? {} : { key: topicKey(topic, key) }), partition, ttlMs, delayMs }
    const outgoing = (text: string): Outgoing =>
      records ? { ...place, ...recordOf(text) } : { ...place, value: topicValue(topic, text, valuesAs) }
    let sent = 0
    const send = async (batch: readonly Outgoing[]): Promise<void> => {
      if (batch.length === 0) return
      sent += (await topic.sendBatch(batch, expectedVersion === undefined ? undefined : { expectedVersion })).length
    }
    if (valueText !== undefined) await send([outgoing(valueText)])
    else {
      let batch: Outgoing[] = []
      let line = 0
      for await (const text of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
        line++
        if (text === '') continue
        try {
          batch.push(outgoing(text))
        } catch (error) {
          throw new InputError(`line ${line}: ${error instanceof Error ? error.message : String(error)}`)
        }
        if (batch.length < batchRecords) continue
        await send(batch)
        batch = []
      }
      await send(batch)
    }
    await (json ? printJson({ topic: name, sent }) : print(`${name}: ${plural(sent, 'record')} sent\n`))
    return exitCodes.ok
  })
}

function recordOf(text: string): Outgoing {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new InputError(`not JSON: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  if (typeof parsed !== 'object' || parsed === null || !('value' in parsed)) throw new InputError('a record must be an object with a value')
  const { value, key, ...rest } = parsed as { value: unknown; key?: unknown }
  return { ...rest, value: fromJson(value), ...(key === undefined ? {} : { key: fromJson(key) }) } as Outgoing
}

export interface ConsumeArguments {
  readonly json: boolean
  readonly valuesAs: ValueNotation
  readonly group?: string
  readonly key?: string
  readonly partition?: number
  readonly fromOffset?: number
  readonly fromTime?: string
  readonly expired?: boolean
  readonly limit?: number
}

/** What is there, partition by partition; with a group from where it stands, and that is moved. */
export function runConsume(path: string, name: string, options: ConsumeArguments): Promise<number> {
  const { json, valuesAs, group, key, partition, limit = Number.POSITIVE_INFINITY } = options
  const expired = options.expired === true ? 'include' : 'skip'
  if (key !== undefined && (group !== undefined || options.fromTime !== undefined))
    throw new RangeError('--key goes with --partition, --from-offset and --limit alone')
  return withDatabase(path, { create: false }, async db => {
    const topic = findTopic(db, name)
    if (key !== undefined) {
      await topic.ready()
      const from = options.fromOffset ?? 0
      for (const record of topic.readKey(topicKey(topic, key), { partition, from, limit, expired }))
        await print(line(record, json, valuesAs))
      return exitCodes.ok
    }
    const committed = new Map<number, number>()
    if (group !== undefined && db.groupNames().includes(group)) {
      for (const each of db.describeGroup(group).partitions) {
        if (each.topic === name && each.offset !== undefined) committed.set(each.partition, each.offset)
      }
    }
    let left = limit
    const partitions = partition === undefined ? Array.from({ length: topic.partitionCount }, (_, i) => i) : [partition]
    for (const each of partitions) {
      if (left <= 0) break
      const from = placeOf(options) ?? (committed.has(each) ? { offset: committed.get(each) as number } : 'earliest')
      const consumer = topic.consume({ partitions: [each], from, until: 'end', expired, maxRecords: Math.min(left, batchRecords) })
      let next: number | undefined
      for await (const { records, nextOffset } of consumer) {
        const shown = records.slice(0, left)
        await print(shown.map(record => line(record, json, valuesAs)).join(''))
        left -= shown.length
        next = shown.length === records.length ? nextOffset : (records[shown.length]?.offset as number)
        if (left <= 0) break
      }
      await consumer.close()
      if (group !== undefined && next !== undefined) await db.resetGroup(group, name, { offset: next }, [each])
    }
    return exitCodes.ok
  })
}

function line(record: ConsumedRecord, json: boolean, valuesAs: ValueNotation): string {
  return json ? `${JSON.stringify(recordJson(record))}\n` : recordLine(record, valuesAs)
}

function placeOf({
  fromOffset,
  fromTime,
}: {
  readonly fromOffset?: number
  readonly fromTime?: string
}): Exclude<ConsumeFrom, string> | undefined {
  if (fromOffset !== undefined && fromTime !== undefined) throw new RangeError('--from-offset and --from-time exclude each other')
  if (fromTime !== undefined) return { time: timeOf(fromTime, '--from-time') }
  return fromOffset === undefined ? undefined : { offset: fromOffset }
}

export interface ReplayArguments {
  readonly json: boolean
  readonly toTopic?: string
  readonly toStore?: string
  readonly partition?: number
  readonly fromOffset?: number
  readonly fromTime?: string
  readonly untilOffset?: number
  readonly untilTime?: string
  readonly key?: string
  readonly expired?: boolean
  readonly pace?: number
  readonly resume?: string
  readonly dryRun?: boolean
}

/** Into a topic, a store, or, by default, to stdout: a line of JSON a record. */
export function runReplay(path: string, name: string, options: ReplayArguments): Promise<number> {
  const { json, toTopic, toStore, partition, key, pace, resume, dryRun } = options
  if (toTopic !== undefined && toStore !== undefined) throw new RangeError('--to-topic and --to-store exclude each other')
  const from = placeOf(options)
  const until = placeOf({
    ...(options.untilOffset === undefined ? {} : { fromOffset: options.untilOffset }),
    ...(options.untilTime === undefined ? {} : { fromTime: options.untilTime }),
  })
  return withDatabase(path, { create: false }, async db => {
    const topic = findTopic(db, name)
    const target =
      toTopic !== undefined
        ? await readyTopic(db.topic<unknown, unknown>(toTopic, copyOf(topic)))
        : toStore !== undefined
          ? (await findStore(db, toStore, { create: dryRun !== true })).store
          : (records: readonly ConsumedRecord[]) => print(records.map(record => `${JSON.stringify(recordJson(record))}\n`).join(''))
    const report = await withProgress({ json: json || typeof target === 'function', bytes: false }, (bar, signal) =>
      topic.replay({
        to: target,
        signal,
        onProgress: ({ done, total }) => bar.update(done, total, name),
        ...(partition === undefined ? {} : { partitions: [partition] }),
        ...(from === undefined ? {} : { from }),
        ...(until === undefined ? {} : { until }),
        ...(key === undefined ? {} : { filter: keyFilter(topic, key) }),
        ...(options.expired === true ? { expired: 'include' as const } : {}),
        ...(pace === undefined ? {} : { pace }),
        ...(resume === undefined ? {} : { resume }),
        ...(dryRun === undefined ? {} : { dryRun }),
      }),
    )
    if (typeof target === 'function' && dryRun !== true) return exitCodes.ok
    if (json) await printJson(report)
    else {
      const what = dryRun === true ? 'would be written' : 'written'
      const where = toTopic ?? toStore ?? 'stdout'
      await print(`${name}: ${plural(report.read, 'record')} read, ${report.written} ${what} to ${where}\n`)
    }
    return exitCodes.ok
  })
}

function keyFilter(topic: AnyTopic, text: string): (record: ConsumedRecord) => boolean {
  const wanted = JSON.stringify(topicKey(topic, text))
  return ({ key }) => JSON.stringify(key) === wanted
}

/** A new topic for a copy is as the one that is copied. */
function copyOf(topic: AnyTopic): object {
  const { partitions, keyCodec, value, key, timestamps, cleanup } = topic.describe().options
  return Object.fromEntries(
    Object.entries({ partitions, keyCodec, value, key, timestamps, cleanup }).filter(([, option]) => option !== undefined),
  )
}

async function readyTopic(topic: AnyTopic): Promise<AnyTopic> {
  await topic.ready()
  return topic
}

/** `varve groups`: lists and describes consumer groups with their lag, resets their offsets, deletes them. */
import type { Database, ResetTo } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { plural, print, printJson, table } from '../output.ts'
import { withDatabase } from '../stores.ts'
import { timeOf } from '../topics.ts'

export interface GroupsOptions {
  readonly json: boolean
  readonly delete?: boolean
  readonly topic?: string
  readonly partitions?: readonly number[]
  readonly toEarliest?: boolean
  readonly toLatest?: boolean
  readonly toOffset?: number
  readonly toTime?: string
  readonly shift?: number
}

export async function runGroups(path: string, group: string | undefined, options: GroupsOptions): Promise<number> {
  const { json } = options
  const to = resetOf(options)
  if (to !== undefined && (group === undefined || options.topic === undefined)) throw new RangeError('a reset needs a group and --topic')
  if (to !== undefined && options.delete === true) throw new RangeError('--delete and a reset exclude each other')
  return await withDatabase(path, { create: false }, async db => {
    if (group === undefined) return await list(db, path, json)
    if (options.delete === true) {
      await db.deleteGroup(group)
      await (json ? printJson({ deleted: group }) : print(`${group}: deleted\n`))
      return exitCodes.ok
    }
    if (to !== undefined) await db.resetGroup(group, options.topic as string, to, options.partitions)
    const described = db.describeGroup(group)
    if (json) await printJson(described)
    else {
      const rows = described.partitions.map(({ topic, partition, offset, endOffset, lag }) => [
        topic,
        partition,
        offset ?? '-',
        endOffset,
        lag,
      ])
      await print(`${group}: ${described.state}, ${plural(described.members.length, 'member')}, lag ${described.lag}\n`)
      await print(table([['topic', 'partition', 'committed', 'end', 'lag'], ...rows]))
    }
    return exitCodes.ok
  })
}

async function list(db: Database, path: string, json: boolean): Promise<number> {
  const groups = db.groupNames().map(name => {
    const { state, members, lag, partitions } = db.describeGroup(name)
    return { name, state, members: members.length, topics: new Set(partitions.map(({ topic }) => topic)).size, lag }
  })
  if (json) await printJson({ path, groups })
  else if (groups.length === 0) await print(`${path}: no groups\n`)
  else {
    const rows = groups.map(({ name, state, members, topics, lag }) => [name, state, members, topics, lag])
    await print(table([['group', 'state', 'members', 'topics', 'lag'], ...rows]))
  }
  return exitCodes.ok
}

function resetOf({ toEarliest, toLatest, toOffset, toTime, shift }: GroupsOptions): ResetTo | undefined {
  const given: ResetTo[] = []
  if (toEarliest === true) given.push('earliest')
  if (toLatest === true) given.push('latest')
  if (toOffset !== undefined) given.push({ offset: toOffset })
  if (toTime !== undefined) given.push({ time: timeOf(toTime, '--to-time') })
  if (shift !== undefined) given.push({ shift })
  if (given.length > 1) throw new RangeError('--to-earliest, --to-latest, --to-offset, --to-time and --shift exclude each other')
  return given[0]
}

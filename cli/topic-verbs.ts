/** The command line of the verbs on topics and groups: options and help. What a verb does is in `commands/`. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type GroupsOptions, runGroups } from './commands/groups.ts'
import { type ConsumeArguments, type ProduceOptions, type ReplayArguments, runConsume, runProduce, runReplay } from './commands/records.ts'
import { runRetention, runTopics, type TopicsOptions } from './commands/topics.ts'
import { valueNotations } from './stores.ts'
import { toCount, verb } from './verb.ts'

type Given<T extends { readonly json: boolean }> = Omit<T, 'json'> & { readonly json?: boolean }

const folderHelp = 'folder of the database, which must not be open'
const topicHelp = 'name of the topic'
const codecs = ['msgpack', 'json', 'string', 'bytes']

export function addTopicVerbs(program: Command, done: (exitCode: number) => void): void {
  verb(program, 'topics', 'list topics; describe, make, change or delete one')
    .argument('<path>', folderHelp)
    .argument('[topic]', topicHelp)
    .option('--create', 'make the topic; the database is made if there is none')
    .option('--delete', 'remove the topic with all its records')
    .option('--rename-to <name>', 'give it another name')
    .option('--partitions <count>', 'so many of a new topic; an old one grows to them', toCount)
    .option('--key <field>', 'of a new topic: where a value has its key')
    .addOption(new Option('--key-codec <codec>', 'of a new topic; default string').choices(codecs))
    .addOption(new Option('--value <codec>', 'of a new topic; default msgpack').choices(codecs))
    .addOption(new Option('--cleanup <policy>', 'of a new topic; default delete').choices(['delete', 'compact', 'compact,delete']))
    .option('--retention-ms <ms>', 'records older than this may be deleted', toCount)
    .option('--retention-bytes <bytes>', 'of a partition with more the oldest records may be deleted', toCount)
    .addOption(new Option('--key-index <state>', 'keep an index of keys, or no more').choices(['on', 'off']))
    .addHelpText('after', '\nExample:\n  varve topics ./data orders --create --partitions 4 --key customer')
    .action(async (path: string, topic: string | undefined, options: Given<TopicsOptions>) =>
      done(await runTopics(path, topic, { ...options, json: options.json === true })),
    )

  topicVerb(program, 'produce', 'send a value to a topic, or the lines of stdin')
    .argument('[value]', 'the value; without it each line of stdin is one')
    .addOption(valuesAs())
    .option('--key <key>', 'key of all records; default: what the topic finds in the value')
    .option('--partition <number>', 'send to this partition', toCount)
    .option('--records', 'lines are objects with value, key, headers, timestamp, partition and the like')
    .option('--ttl-ms <ms>', 'readers leave the records out when this time is over', toCount)
    .option('--delay-ms <ms>', 'queues deliver the records no earlier than this', toCount)
    .option('--expected-version <offset>', 'only if this is the version of the key, -1: it has no records; one value', toInteger)
    .addHelpText('after', `\nExample:\n  varve produce ./data orders '{"customer":"ada","total":12}'`)
    .action(async (path: string, topic: string, value: string | undefined, options: Given<ProduceOptions>) =>
      done(await runProduce(path, topic, value, { ...options, json: options.json === true })),
    )

  topicVerb(program, 'consume', 'print the records of a topic, to where it ends now')
    .addOption(valuesAs())
    .option('--group <group>', 'begin where this group stands, and move it')
    .option('--key <key>', 'only the records of this key, of a topic with an index of keys')
    .option('--partition <number>', 'only this partition', toCount)
    .option('--from-offset <offset>', 'begin here in each partition', toCount)
    .option('--from-time <time>', 'begin at the first record at or after: a date, or ms since 1970')
    .option('--expired', 'also records whose time to live is over')
    .option('--limit <count>', 'print at most so many', toCount)
    .addHelpText(
      'after',
      '\nA line a record: partition:offset, tab, key, tab, value. With --json each line is an object.\n\nExample:\n  varve consume ./data orders --group billing',
    )
    .action(async (path: string, topic: string, options: Given<ConsumeArguments>) =>
      done(await runConsume(path, topic, { ...options, json: options.json === true })),
    )

  topicVerb(program, 'replay', 'read records of a topic again, into a topic, a store, or as JSON lines to stdout')
    .option('--to-topic <topic>', 'send them to this topic; one that is not there is made like the first')
    .option('--to-store <store>', 'put the newest value of each key into this store')
    .option('--partition <number>', 'only this partition', toCount)
    .option('--from-offset <offset>', 'begin here in each partition', toCount)
    .option('--from-time <time>', 'begin at the first record at or after: a date, or ms since 1970')
    .option('--until-offset <offset>', 'end before this offset in each partition', toCount)
    .option('--until-time <time>', 'end at the first record at or after')
    .option('--key <key>', 'only records of this key')
    .option('--expired', 'also records whose time to live is over')
    .option('--pace <factor>', '1: as far apart as they once were; 10: ten times faster; default: as fast as it goes', toFactor)
    .option('--resume <name>', 'keep progress under this name; the same command goes on')
    .option('--dry-run', 'only say how many there are')
    .addHelpText('after', '\nExample:\n  varve replay ./data orders --to-topic orders-copy')
    .action(async (path: string, topic: string, options: Given<ReplayArguments>) =>
      done(await runReplay(path, topic, { ...options, json: options.json === true })),
    )

  verb(program, 'groups', 'list consumer groups; describe one with its lag, reset its offsets, delete it')
    .argument('<path>', folderHelp)
    .argument('[group]', 'name of the group')
    .option('--delete', 'forget the group and its offsets')
    .option('--topic <topic>', 'reset the offsets of this topic')
    .option('--partitions <numbers...>', 'only of these partitions', toCounts)
    .option('--to-earliest', 'reset to the oldest record')
    .option('--to-latest', 'reset to the end')
    .option('--to-offset <offset>', 'reset to this offset', toCount)
    .option('--to-time <time>', 'reset to the first record at or after: a date, or ms since 1970')
    .option('--shift <count>', 'move by so many offsets; below 0: back', toInteger)
    .addHelpText('after', '\nExample:\n  varve groups ./data billing --topic orders --to-earliest')
    .action(async (path: string, group: string | undefined, options: Given<GroupsOptions>) =>
      done(await runGroups(path, group, { ...options, json: options.json === true })),
    )

  verb(program, 'retention', 'delete now what the retention of topics lets go, of one or of all')
    .argument('<path>', folderHelp)
    .argument('[topic]', topicHelp)
    .addHelpText(
      'after',
      '\nAn open database does it by itself every five minutes; `varve compact` compacts topics by key.\n\nExample:\n  varve retention ./data',
    )
    .action(async (path: string, topic: string | undefined, options: { json?: boolean }) =>
      done(await runRetention(path, topic, { json: options.json === true })),
    )
}

function topicVerb(program: Command, name: string, summary: string): Command {
  return verb(program, name, summary).argument('<path>', folderHelp).argument('<topic>', topicHelp)
}

function valuesAs(): Option {
  return new Option('--values-as <notation>', 'how values are given or printed').choices(valueNotations).default('json')
}

function toCounts(text: string, before: number[] = []): number[] {
  return [...before, toCount(text)]
}

function toInteger(text: string): number {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

function toFactor(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.')
  return value
}

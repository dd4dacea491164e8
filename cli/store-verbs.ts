/** The command line of the verbs on stores: options and help. What a verb does is in `commands/`. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { runBackup, runRestore } from './commands/backup.ts'
import { runDel, runGet, runPut } from './commands/entries.ts'
import { type ExportFormat, exportFormats, runExport } from './commands/export.ts'
import { type ImportFormat, importFormats, runImport } from './commands/import.ts'
import { runCount, runScan, runStores } from './commands/scan.ts'
import type { CellNotation } from './import/csv.ts'
import { type KeyNotation, keyNotations, type RangeArguments, type ValueNotation, valueNotations } from './stores.ts'
import { toCount, verb } from './verb.ts'

interface CommonOptions {
  readonly json?: boolean
  readonly keysAs: KeyNotation
  readonly valuesAs: ValueNotation
}

const folderHelp = 'folder of the database, which must not be open'
const storeHelp = 'name of the store'
const keyHelp = 'the key: a JSON literal such as \'["ada",1]\', or plain text'

export function addStoreVerbs(program: Command, done: (exitCode: number) => void): void {
  storeVerb(program, 'put', 'set the value of a key; the database and the store are made if there is none')
    .argument('<key>', keyHelp)
    .argument('<value>', 'the value; - takes it from stdin')
    .addOption(keysAs())
    .addOption(valuesAs())
    .option('--ttl <ms>', 'let the entry expire after so many milliseconds', toCount)
    .addHelpText('after', `\nExample:\n  varve put ./data users '["ada",1]' '{"name":"Ada"}'`)
    .action(async (path: string, store: string, key: string, value: string, options: CommonOptions & { ttl?: number }) =>
      done(await runPut(path, store, key, value, { ...options, json: options.json === true, ttl: options.ttl })),
    )

  storeVerb(program, 'get', 'print the value of a key')
    .argument('<key>', keyHelp)
    .addOption(keysAs())
    .addOption(valuesAs())
    .addHelpText('after', `\nExit code 8: there is no such key.\n\nExample:\n  varve get ./data users '["ada",1]'`)
    .action(async (path: string, store: string, key: string, options: CommonOptions) =>
      done(await runGet(path, store, key, { ...options, json: options.json === true })),
    )

  range(storeVerb(program, 'scan', 'print the entries of a store in the order of their keys'))
    .option('--reverse', 'from the end to the beginning')
    .option('--keys-only', 'leave out the values')
    .option('--values-only', 'leave out the keys')
    .addOption(valuesAs())
    .addHelpText(
      'after',
      `\nA line an entry: key, tab, value. With --json each line is an object.\n\nExample:\n  varve scan ./data users --prefix '["ada"]' --limit 10`,
    )
    .action(async (path: string, store: string, options: CommonOptions & RangeArguments & { keysOnly?: boolean; valuesOnly?: boolean }) =>
      done(await runScan(path, store, { ...options, json: options.json === true })),
    )

  range(storeVerb(program, 'count', 'count the entries of a store'))
    .option('--estimate', 'about how many, without walking over them')
    .addHelpText('after', '\nExample:\n  varve count ./data users')
    .action(async (path: string, store: string, options: CommonOptions & RangeArguments & { estimate?: boolean }) =>
      done(await runCount(path, store, { ...options, json: options.json === true })),
    )

  storeVerb(program, 'del', 'remove keys')
    .argument('<keys...>', 'the keys, as for `get`')
    .addOption(keysAs())
    .addHelpText('after', `\nExample:\n  varve del ./data users '["ada",1]'`)
    .action(async (path: string, store: string, keys: string[], options: CommonOptions) =>
      done(await runDel(path, store, keys, { ...options, json: options.json === true })),
    )

  range(storeVerb(program, 'export', 'write the entries of a store to a file, as of one moment'))
    .addOption(new Option('--format <format>', 'how to write them').choices(exportFormats).makeOptionMandatory())
    .option('--out <file>', 'the file; - is stdout', '-')
    .option('--force', 'replace the file')
    .option('--columns <fields>', 'CSV: these fields of the values as columns of text; default: key and value as JSON', toFields)
    .addHelpText(
      'after',
      '\nWithout --columns `varve import` reads it back without loss.\n\nExample:\n  varve export ./data users --format jsonl --out users.jsonl',
    )
    .action(
      async (
        path: string,
        store: string,
        options: RangeArguments & { json?: boolean; format: ExportFormat; out: string; force?: boolean; columns?: string[] },
      ) =>
        done(
          await runExport(path, store, {
            ...options,
            json: options.json === true,
            force: options.force === true,
            columns: options.columns,
          }),
        ),
    )

  storeVerb(program, 'import', 'put the rows of files into a store; the database and the store are made if there is none')
    .argument('<files...>', 'the files; - reads stdin')
    .addOption(new Option('--format <format>', 'what the files are').choices(importFormats).makeOptionMandatory())
    .option('--key <fields>', 'field that is the key, or several with commas for a tuple; default: `key` of what `export` wrote', toFields)
    .option('--value <field>', 'field that is the value; default: the whole row')
    .addOption(
      new Option('--cells <how>', 'CSV: what a cell is; auto reads numbers, true, false and null; default: text').choices([
        'text',
        'auto',
        'json',
      ]),
    )
    .option('--skip-bad', 'name bad rows and go on; default: the first one ends the import')
    .addHelpText(
      'after',
      '\nA field is a name or a path with dots. Bad rows are named with file and line. Exit code 7: a bad row ended the import.\n\nExample:\n  varve import ./data users users.jsonl --format jsonl --key id',
    )
    .action(
      async (
        path: string,
        store: string,
        files: string[],
        options: {
          json?: boolean
          format: ImportFormat
          key?: string[]
          value?: string
          cells?: CellNotation
          skipBad?: boolean
        },
      ) => {
        const { format, key, value, cells } = options
        done(
          await runImport(path, store, files, {
            format,
            key,
            value,
            cells,
            json: options.json === true,
            skipBad: options.skipBad === true,
          }),
        )
      },
    )

  verb(program, 'stores', 'list the stores of a database')
    .argument('<path>', folderHelp)
    .addHelpText('after', '\nExample:\n  varve stores ./data')
    .action(async (path: string, options: CommonOptions) => done(await runStores(path, { json: options.json === true })))

  verb(program, 'backup', 'copy one moment of a database into a new folder, which shares sealed files with it')
    .argument('<path>', folderHelp)
    .argument('<target>', 'the new folder, not there or empty')
    .addHelpText(
      'after',
      '\nA program that has the database open calls `database.backup(target)`.\n\nExample:\n  varve backup ./data ./backup',
    )
    .action(async (path: string, target: string, options: CommonOptions) =>
      done(await runBackup(path, target, { json: options.json === true })),
    )

  verb(program, 'restore', 'check a backup and copy it into a new folder, which shares nothing with it')
    .argument('<backup>', 'folder of the backup, or of any database that is not open')
    .argument('<target>', 'the new folder, not there or empty')
    .addHelpText('after', '\nExit code 6: the backup is damaged; nothing was made.\n\nExample:\n  varve restore ./backup ./data')
    .action(async (from: string, target: string, options: CommonOptions) =>
      done(await runRestore(from, target, { json: options.json === true })),
    )
}

function storeVerb(program: Command, name: string, summary: string): Command {
  return verb(program, name, summary).argument('<path>', folderHelp).argument('<store>', storeHelp)
}

function keysAs(): Option {
  return new Option('--keys-as <notation>', 'how keys are given; auto: JSON where it is some, else text')
    .choices(keyNotations)
    .default('auto')
}

function valuesAs(): Option {
  return new Option('--values-as <notation>', 'how values are given and printed').choices(valueNotations).default('json')
}

function range(command: Command): Command {
  return command
    .addOption(keysAs())
    .option('--gt <key>', 'only keys behind this one')
    .option('--gte <key>', 'only keys from this one on')
    .option('--lt <key>', 'only keys before this one')
    .option('--lte <key>', 'only keys up to this one')
    .option('--prefix <key>', 'only tuples that begin with these elements, or text with this text')
    .option('--limit <count>', 'at most this many', toCount)
}

function toFields(text: string): string[] {
  const fields = text.split(',').map(field => field.trim())
  if (fields.includes('')) throw new InvalidArgumentError('It must be names with commas between them.')
  return fields
}

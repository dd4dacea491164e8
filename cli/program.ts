/** The command line: verbs, their options and their help. Parsing only; what a verb does is in `commands/`. */
import { Command } from 'commander'
import { version } from '../index.ts'
import { runCompact } from './commands/compact.ts'
import { runDump } from './commands/dump.ts'
import { runRepair } from './commands/repair.ts'
import { runStats } from './commands/stats.ts'
import { runVerify } from './commands/verify.ts'
import { addJobVerbs } from './job-verbs.ts'
import { addStoreVerbs } from './store-verbs.ts'
import { addTopicVerbs } from './topic-verbs.ts'
import { toCount, verb } from './verb.ts'

const helpWidth = 100

/** `done` is told the exit code of the verb that ran. Throws commander's errors instead of ending the process. */
export function createProgram(done: (exitCode: number) => void): Command {
  const program = new Command('varve')
    .description('Looks after databases of Varve and what is in them.')
    .version(version, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .showHelpAfterError('(`varve --help` tells what there is)')
  // Verbs inherit these settings, so they come first.
  program.configureOutput({ getOutHelpWidth: () => helpWidth, getErrHelpWidth: () => helpWidth, writeErr: () => undefined })
  program.exitOverride()

  verb(program, 'verify', 'check every byte of a database, and change nothing')
    .argument('<path>', 'folder of the database, which must not be open')
    .addHelpText('after', '\nExit code 0: no errors. 1: errors were found. 3: the database is in use.\n\nExample:\n  varve verify ./data')
    .action(async (path: string, options: { json?: boolean }) => done(await runVerify(path, { json: options.json === true })))

  verb(program, 'dump', 'show what is in a file, down to the record')
    .argument('<file>', 'a segment, a commit-log, staging or spare file; a folder for its catalog')
    .option('--limit <count>', 'show at most this many items', toCount)
    .option('--from <offset>', 'leave out records below this offset', toCount)
    .option('--position <byte>', 'leave out what lies before this byte', toCount)
    .option('--no-values', 'leave out values and headers of records')
    .addHelpText(
      'after',
      '\nDamage is shown as items of type `damage`; the dump goes on behind it.\n\nExample:\n  varve dump --limit 20 ./data/segment-0000000001.seg',
    )
    .action(async (file: string, options: { json?: boolean; limit?: number; from?: number; position?: number; values: boolean }) =>
      done(await runDump(file, { ...options, json: options.json === true })),
    )

  verb(program, 'repair', 'make a damaged database open again, and name what is lost')
    .argument('<path>', 'folder of the database, which must not be open')
    .option('--dry-run', 'only say what would be done')
    .addHelpText(
      'after',
      '\nDamaged files are kept in <path>/damaged. Exit code 0: nothing is lost. 5: something is, and is named.\n\nExample:\n  varve repair --dry-run ./data',
    )
    .action(async (path: string, options: { json?: boolean; dryRun?: boolean }) =>
      done(await runRepair(path, { json: options.json === true, dryRun: options.dryRun === true })),
    )

  verb(program, 'stats', 'sizes of the files and logs of a closed database')
    .argument('<path>', 'folder of the database, which must not be open')
    .addHelpText('after', '\nExample:\n  varve stats --json ./data')
    .action(async (path: string, options: { json?: boolean }) => done(await runStats(path, { json: options.json === true })))

  verb(program, 'compact', 'merge segments and drop what no longer counts, to give space back')
    .argument('<path>', 'folder of the database, which must not be open')
    .option('--logs <names...>', 'only these logs; default: stores, and topics with cleanup `compact`')
    .option('--topics <names...>', 'only these topics, as their options say: `topic.compact()`')
    .addHelpText('after', '\nExample:\n  varve compact ./data --logs prices users')
    .action(async (path: string, options: { json?: boolean; logs?: string[]; topics?: string[] }) =>
      done(await runCompact(path, { json: options.json === true, logs: options.logs, topics: options.topics })),
    )
  addStoreVerbs(program, done)
  addTopicVerbs(program, done)
  addJobVerbs(program, done)
  return program
}

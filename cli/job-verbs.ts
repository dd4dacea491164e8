/** The command line of the verb on jobs: options and help. What it does is in `commands/run-job.ts`. */
import type { Command } from 'commander'
import { runJob } from './commands/run-job.ts'
import { toCount, verb } from './verb.ts'

interface RunOptions {
  readonly json?: boolean
  readonly args?: string
  readonly workers?: number
  readonly out?: string
  readonly force?: boolean
  readonly store?: string
  readonly key?: string[]
  readonly replace?: boolean
  readonly explain?: boolean
  readonly stats?: boolean
}

export function addJobVerbs(program: Command, done: (exitCode: number) => void): void {
  verb(program, 'run', 'run a job over the stores and topics of a database, or over files')
    .argument('<path>', 'folder of the database, which must not be open')
    .argument('<module>', 'JavaScript file whose default export is a job')
    .option('--args <json>', "the job's arguments")
    .option('--workers <count>', 'worker threads; 0: none; default: as many as processors, where it pays', toCount)
    .option('--out <file>', 'write the rows to this .jsonl, .csv or .parquet; default: JSON lines to stdout')
    .option('--force', 'replace the file')
    .option('--store <name>', 'put the rows into this store, which is made if there is none')
    .option('--key <fields...>', 'fields of a row that are its key there; several make a tuple')
    .option('--replace', 'let the store have these rows alone')
    .option('--explain', 'print the plan, and do nothing')
    .option('--stats', 'say on stderr what each operator did: rows, bytes, time')
    .addHelpText(
      'after',
      `\nFiles and stores get all rows or none.\n\nExample:\n  varve run ./data late.js --args '{"least":15}' --store late --key origin`,
    )
    .action(async (path: string, module: string, { json, force, key, replace, explain, stats, ...rest }: RunOptions) =>
      done(
        await runJob(path, module, {
          ...rest,
          json: json === true,
          force: force === true,
          key: key ?? [],
          replace: replace === true,
          explain: explain === true,
          stats: stats === true,
        }),
      ),
    )
}

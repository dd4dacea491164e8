/** What the programs of the benchmark have in common as commands: their help, and how options are read. */
import { tmpdir } from 'node:os'
import { Command, InvalidArgumentError, Option } from 'commander'

const helpWidth = 110

/** What every program that runs parts of an area is given. */
export interface PartOptions {
  readonly only: string[]
  readonly rounds: number
  readonly small?: boolean
  readonly json?: boolean
  readonly update?: boolean
  readonly dir: string
}

/** `script` is the one of package.json. */
export function benchCommand(script: string, description: string): Command {
  return new Command(`npm run ${script} --`)
    .description(description)
    .helpOption('-h, --help', 'print this text')
    .configureOutput({ getOutHelpWidth: () => helpWidth, getErrHelpWidth: () => helpWidth })
    .showHelpAfterError(`(\`npm run ${script} -- --help\` tells what there is)`)
}

/** A command for parts of an area: the options of `PartOptions`, and the workloads in its help. */
export function partCommand(
  script: string,
  description: string,
  area: {
    readonly workloads: readonly { readonly name: string; readonly what: string }[]
    readonly rounds: number
    readonly resultsFile: string
  },
): Command {
  const names = area.workloads.map(({ name }) => name)
  const width = Math.max(...names.map(name => name.length))
  return benchCommand(script, description)
    .addOption(namesOption('--only', 'only these workloads, with commas between them', names))
    .option('--rounds <count>', 'how often each runs', toRounds, area.rounds)
    .option('--small', 'as tests run them: well below a second each, and no figures to speak of')
    .option('--json', 'print the results as JSON')
    .option('--update', `put what runs in place of what ${area.resultsFile} has, if machine and parameters are the same`)
    .option('--dir <folder>', 'where databases are made for what is measured', tmpdir())
    .addHelpText('after', `\nWorkloads:\n${area.workloads.map(({ name, what }) => `  ${name.padEnd(width)}  ${what}`).join('\n')}`)
    .addHelpText(
      'after',
      `\nA whole run of the usual size also writes ${area.resultsFile} and what is made from it. Exit code 1: a run failed; a missed target is no failure.`,
    )
}

/** Names, separated by commas or given one by one; without any it is an empty list, which means all. */
export function namesOption(flag: string, description: string, known: readonly string[]): Option {
  return new Option(`${flag} <names>`, description).argParser(toNames(known)).default([], 'all')
}

/** For an option of names that are separated by commas, or given one by one. */
export function toNames(known: readonly string[]): (given: string, before: readonly string[]) => string[] {
  return (given, before) => {
    const names = given.split(',').filter(name => name !== '')
    const unknown = names.find(name => !known.includes(name))
    if (unknown !== undefined) throw new InvalidArgumentError(`Nothing is called '${unknown}'; there are ${known.join(', ')}.`)
    return [...before, ...names]
  }
}

export function toRounds(given: string): number {
  const rounds = Number(given)
  if (!Number.isInteger(rounds) || rounds < 1) throw new InvalidArgumentError('It must be a whole number above 0.')
  return rounds
}

export function toNumber(given: string): number {
  const number = Number(given)
  if (given.trim() === '' || Number.isNaN(number)) throw new InvalidArgumentError('It must be a number.')
  return number
}

/** `npm run bench:store`: runs workloads on every engine that is installed, prints what they reached, and keeps it (`--help`). A missed target is printed and is no failure: machines differ. */
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { namesOption, type PartOptions, partCommand, toNumber } from '../command.ts'
import { resultsFolder, storeArea } from '../overview.ts'
import { startProgress } from '../report/progress.ts'
import { checkAlike, isSame, mergeWorkloads, storedResults } from '../stored-results.ts'
import { findEngines, runStores, storeRounds, storesArea } from './area.ts'
import { engines } from './engines.ts'
import { checkParameters, largeParameters, type StoreParameters, smallParameters } from './parameters.ts'
import type { StoreResults } from './report/summary.ts'
import { countRuns } from './run.ts'
import { storeWorkloads } from './workloads.ts'

const resultsFile = join(resultsFolder, storesArea.resultsFile)

type StoreOptions = PartOptions & Partial<StoreParameters> & { readonly engines: string[] }

async function main(): Promise<void> {
  const command = storeCommand().parse()
  const values = command.opts<StoreOptions>()
  const { only, rounds } = values
  const size = values.small ? 'small' : 'large'
  const parameters = parametersOf(command)
  const workloads = only.length === 0 ? storeWorkloads : storeWorkloads.filter(({ name }) => only.includes(name))
  const named = values.engines
  const found = findEngines(named.length === 0 ? engines : engines.filter(({ name }) => named.includes(name)))

  const stored = values.update ? storedResults<StoreResults>(resultsFile) : undefined
  const progress = startProgress(countRuns({ workloads, engines: found.present.map(({ engine }) => engine), rounds }))
  try {
    const { results, failures } = await runStores(
      {
        workloads,
        found,
        parameters,
        size,
        rounds,
        dir: values.dir,
        check: header => {
          if (stored !== undefined) checkAlike(resultsFile, stored, header, 'machine', 'size', 'parameters', 'engines')
        },
      },
      (what, done) => progress.update(done, what),
    )
    progress.stop()
    const whole = size === 'large' && only.length === 0 && named.length === 0 && isSame(parameters, largeParameters)
    if (stored !== undefined) {
      const merged = mergeWorkloads(stored.workloads, results.workloads, storeWorkloads)
      await storeArea(resultsFolder, storesArea, { ...results, workloads: merged })
    } else if (values.update || whole) await storeArea(resultsFolder, storesArea, results)
    console.log(values.json ? JSON.stringify(results, undefined, 2) : storesArea.terminal(results))
    for (const failure of failures) console.error(`FAILED: ${failure}`)
    if (failures.length > 0) process.exitCode = 1
  } finally {
    progress.stop()
  }
}

function storeCommand(): Command {
  const engineNames = engines.map(({ name }) => name)
  return partCommand('bench:store', 'Measures stores beside their peers.', { workloads: storeWorkloads, rounds: storeRounds, resultsFile })
    .addOption(namesOption('--engines', `only these: ${engineNames.join(', ')}`, engineNames))
    .option('--n <keys>', `keys in the database; usually ${largeParameters.n}, with --small ${smallParameters.n}`, toNumber)
    .option('--key-bytes <bytes>', `characters of a key; usually ${largeParameters.keyBytes}`, toNumber)
    .option(
      '--value-bytes <bytes>',
      `size of a value, half of which can be compressed away; usually ${largeParameters.valueBytes}`,
      toNumber,
    )
    .addOption(
      new Option('--values <kind>', `what values are in JavaScript; usually ${largeParameters.values}`).choices(['string', 'buffer']),
    )
    .option('--batch <records>', `records of one write; usually ${largeParameters.batch}, with --small ${smallParameters.batch}`, toNumber)
    .option(
      '--window <batches>',
      `batches that were given to an engine and are not yet acknowledged; usually ${largeParameters.window}`,
      toNumber,
    )
    .option('--seed <number>', `of keys, values and orders; usually ${largeParameters.seed}`, toNumber)
}

/** Ends the program with what is wrong with them. */
function parametersOf(command: Command): StoreParameters {
  const { n, keyBytes, valueBytes, values, batch, window, seed, small } = command.opts<StoreOptions>()
  const given = Object.entries({ n, keyBytes, valueBytes, values, batch, window, seed }).filter(([, value]) => value !== undefined)
  const parameters: StoreParameters = { ...(small ? smallParameters : largeParameters), ...Object.fromEntries(given) }
  try {
    checkParameters(parameters)
  } catch (error) {
    command.error(`error: option --${(error as RangeError).message}`)
  }
  return parameters
}

await main()

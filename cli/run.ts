/** Parses a command line, runs its verb, and turns whatever happens into an exit code (`exit-codes.ts`) and at most one complaint on stderr. */
import { CommanderError } from 'commander'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import { complain } from './output.ts'
import { createProgram } from './program.ts'

export async function run(args: readonly string[]): Promise<number> {
  const json = args.includes('--json')
  let exitCode: number = exitCodes.ok
  const program = createProgram(code => {
    exitCode = code
  })
  try {
    if (args.length === 0)
      throw new CommanderError(exitCodes.usage, 'varve.noVerb', 'a verb is missing: `varve --help` tells what there is')
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      complain(error, { json })
      return exitCodeOf(error)
    }
    // Help and version were printed, and are no errors.
    if (error.exitCode === 0) return exitCodes.ok
    const message = error.message.replace(/^error: /, '')
    complain(new RangeError(message), { json })
    return exitCodes.usage
  }
}

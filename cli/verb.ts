/** What all verbs of the command line share. */
import { type Command, InvalidArgumentError } from 'commander'

export function verb(program: Command, name: string, summary: string): Command {
  return program.command(name).description(summary).option('--json', 'print JSON').helpOption('-h, --help', 'print this text')
}

/** A whole number, 0 or more. */
export function toCount(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('It must be a whole number, 0 or more.')
  return value
}

#!/usr/bin/env node
/** The `varve` command. Results go to stdout, complaints to stderr; exit code 2 means that the command line was not understood. */

import { parseArgs } from 'node:util'
import { version } from '../index.ts'

const usage = `Usage: varve [options]

  -h, --help     print this text
  -v, --version  print the version
`

function main(): number {
  let values: { help?: boolean; version?: boolean }
  try {
    values = parseArgs({ options: { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } } }).values
  } catch (error) {
    process.stderr.write(`varve: ${(error as Error).message}\n${usage}`)
    return 2
  }
  if (values.version === true) {
    process.stdout.write(`${version}\n`)
    return 0
  }
  if (values.help === true) {
    process.stdout.write(usage)
    return 0
  }
  process.stderr.write(usage)
  return 2
}

process.exitCode = main()

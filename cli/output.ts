/**
 * What the command prints: results on stdout, complaints and the progress bar on stderr. With `--json` a result is one JSON document (or, for
 * `dump`, one object a line) and a complaint is one JSON object. Stack traces only with VARVE_DEBUG.
 */
import { isVarveError } from '../index.ts'
import { InputError } from './input-error.ts'

export interface OutputOptions {
  readonly json: boolean
}

/** Resolves when the text is with the system, so that a slow reader slows us down. A reader that went away ends the command quietly. */
export function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, error => {
      if (error === null || error === undefined) resolve()
      else if ((error as { code?: string }).code === 'EPIPE') process.exit(0)
      else reject(error)
    })
  })
}

export function printJson(value: unknown): Promise<void> {
  return print(`${JSON.stringify(value, undefined, 2)}\n`)
}

/** One line on stderr that says what is wrong. */
export function complain(error: unknown, options: OutputOptions): void {
  const message = error instanceof Error ? error.message : String(error)
  const code = isVarveError(error) ? error.code : error instanceof Error && error.name === 'AbortError' ? 'INTERRUPTED' : codeOf(error)
  if (options.json) {
    const details = isVarveError(error) && Object.keys(error.details).length > 0 ? { details: error.details } : {}
    process.stderr.write(`${JSON.stringify({ error: { code, message, ...details } })}\n`)
  } else {
    process.stderr.write(`varve: ${message.split('\n')[0]} (${code})\n`)
  }
  if (isDebugging() && error instanceof Error) process.stderr.write(`${error.stack}\n`)
}

function codeOf(error: unknown): string {
  if (error instanceof InputError) return 'BAD_INPUT'
  return error instanceof RangeError || error instanceof TypeError ? 'USAGE' : 'INTERNAL'
}

export function isDebugging(): boolean {
  const value = process.env.VARVE_DEBUG
  return value !== undefined && value !== '' && value !== '0'
}

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** 1.5 MiB */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return unit === 0 ? `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}` : `${value.toFixed(1)} ${units[unit]}`
}

/** 1 file, 2 files */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** Columns with two spaces between them; numbers to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, String(cell).length)
  const line = (row: readonly (string | number)[]): string =>
    row.map((cell, i) => (typeof cell === 'number' ? String(cell).padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  ')
  return rows.map(row => `${line(row).trimEnd()}\n`).join('')
}

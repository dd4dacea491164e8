/**
 * TeraSort's records in the form of gensort's text mode: 100 bytes a line, a random key of ten printable characters, the number of the row, and filler.
 */
import type { Forms } from '../inputs.ts'
import { writeLines } from './write-lines.ts'

/** With the line end. */
export const recordBytes = 100
export const keyBytes = 10
const printable = 95
const filler = Array.from({ length: 26 }, (_, i) => String.fromCharCode(0x41 + i).repeat(49))

/** Without the line end. */
export function recordOf(row: number): string {
  let key = ''
  let state = Math.imul(row + 1, 0x9e3779b1)
  for (let i = 0; i < keyBytes; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    key += String.fromCharCode(0x20 + ((state >>> 0) % printable))
  }
  return `${key}  ${row.toString(16).toUpperCase().padStart(32, '0')}  ${filler[row % 26]}0000`
}

export const recordForms: Forms = {
  text: {
    async make(path, parameters) {
      writeLines(path, undefined, parameters.rows as number, recordOf)
    },
  },
}

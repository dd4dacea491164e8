/** Records of the sort benchmark as gensort writes them for people: 100 bytes, a line each, of which the first ten are a random key of printable characters; then the number of the row, and filler. */
import { keyBytes } from '../../../examples/terasort/rows.ts'
import type { Forms } from '../inputs.ts'
import { writeLines } from './write-lines.ts'

const printable = 95
const filler = Array.from({ length: 26 }, (_, i) => String.fromCharCode(0x41 + i).repeat(49))

/** Without the line end. */
function recordOf(row: number): string {
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

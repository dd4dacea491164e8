/**
 * Real text: the readmes, change logs, licences and other documents (`.md`, `.txt`, LICENSE) of the packages below `node_modules`, in order of their paths, again and again until it
 * is as long as wanted. Runs of white space are one space and empty lines are left out, so that every product splits it alike. What repeats has few different words
 * (some ten thousand) and fits tables of words well: a real corpus of this length would have more.
 */
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { rootFolder } from '../../peer-packages.ts'
import type { Forms } from '../inputs.ts'

const isDocument = /\.(md|txt)$|^licen[cs]e/i

export const textForms: Forms = {
  text: {
    async make(path, parameters) {
      const bytes = parameters.bytes as number
      const file = openSync(path, 'w')
      try {
        let written = 0
        while (written < bytes) {
          for (const document of documents(join(rootFolder(), 'node_modules'))) {
            written += writeSync(file, collapse(readFileSync(document, 'utf8')))
            if (written >= bytes) break
          }
        }
      } finally {
        closeSync(file)
      }
    },
  },
}

/** As said above; ends with a line end. */
function collapse(text: string): string {
  const lines = text.split(/[\r\n]+/).map(line =>
    line
      .split(/\s+/)
      .filter(word => word !== '')
      .join(' '),
  )
  const kept = lines.filter(line => line !== '')
  return kept.length === 0 ? '' : `${kept.join('\n')}\n`
}

function* documents(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory()) yield* documents(join(folder, entry.name))
    else if (entry.isFile() && isDocument.test(entry.name)) yield join(folder, entry.name)
  }
}

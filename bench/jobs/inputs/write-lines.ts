/** Writes text files of any length, some thousand lines at a time. */
import { closeSync, openSync, writeSync } from 'node:fs'

const charactersAtATime = 1 << 20

export function writeLines(path: string, head: string | undefined, count: number, line: (i: number) => string): void {
  const file = openSync(path, 'w')
  try {
    let text = head === undefined ? '' : `${head}\n`
    for (let i = 0; i < count; i++) {
      text += line(i)
      text += '\n'
      if (text.length < charactersAtATime) continue
      writeAll(file, text)
      text = ''
    }
    writeAll(file, text)
  } finally {
    closeSync(file)
  }
}

function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}

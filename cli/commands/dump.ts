/** `varve dump <file>`: what is in a file, as indented text or as one JSON object a line. */
import type { DumpItem, DumpOptions } from '../../index.ts'
import { dump } from '../../index.ts'
import { exitCodes } from '../exit-codes.ts'
import { print } from '../output.ts'

/** How deep a kind of item lies. */
const depths: { readonly [type: string]: number } = {
  file: 0,
  header: 1,
  footer: 1,
  frame: 1,
  part: 1,
  row: 1,
  unused: 1,
  damage: 1,
  entry: 2,
  tables: 2,
  block: 2,
  batch: 3,
  record: 4,
}

const textMax = 200
const chunkChars = 64 * 1024

export async function runDump(file: string, options: DumpOptions & { readonly json: boolean }): Promise<number> {
  let text = ''
  for await (const item of dump(file, options)) {
    text += options.json ? `${JSON.stringify(item)}\n` : line(item)
    if (text.length < chunkChars) continue
    await print(text)
    text = ''
  }
  await print(text)
  return exitCodes.ok
}

function line({ type, position, ...fields }: DumpItem): string {
  const indent = '  '.repeat(depths[type] ?? 1)
  let text = `${indent}${type}${position === undefined ? '' : ` @${position}`}`
  for (const [name, value] of Object.entries(fields)) text += ` ${name}=${shorten(JSON.stringify(value) ?? '')}`
  return `${text}\n`
}

function shorten(text: string): string {
  return text.length <= textMax ? text : `${text.slice(0, textMax)}… (${text.length} characters)`
}

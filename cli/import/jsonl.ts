/**
 * JSON lines: one JSON value a line, UTF-8, LF or CRLF; empty lines are passed over. Split by bytes, since other line ends that text knows are part of
 * a JSON string.
 */
import { createReadStream } from 'node:fs'
import { parseJson } from '../json-values.ts'
import type { Row } from './row.ts'

const newline = 0x0a
const lineBytesMax = 512 * 1024 * 1024
const utf8 = new TextDecoder('utf-8', { fatal: true })

export async function* readJsonl(path: string, added: (bytes: number) => void): AsyncGenerator<Row[]> {
  const input = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: 256 * 1024 })
  let line = 0
  let rest: Buffer[] = []
  let restBytes = 0
  for await (const chunk of input as AsyncIterable<Buffer>) {
    added(chunk.byteLength)
    const rows: Row[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const piece = chunk.subarray(start, end)
      const row = parseLine(rest.length === 0 ? piece : Buffer.concat([...rest, piece]), ++line)
      if (row !== undefined) rows.push(row)
      rest = []
      restBytes = 0
      start = end + 1
    }
    if (start < chunk.byteLength) {
      rest.push(chunk.subarray(start))
      restBytes += chunk.byteLength - start
      if (restBytes > lineBytesMax) {
        yield [...rows, { line: line + 1, problem: `the line has more than ${lineBytesMax} bytes` }]
        return
      }
    }
    if (rows.length > 0) yield rows
  }
  const row = rest.length === 0 ? undefined : parseLine(Buffer.concat(rest), line + 1)
  if (row !== undefined) yield [row]
}

function parseLine(bytes: Buffer, line: number): Row | undefined {
  let text: string
  try {
    // The decoder drops a byte order mark.
    text = utf8.decode(bytes).trim()
  } catch {
    return { line, problem: 'the line is not UTF-8' }
  }
  if (text === '') return undefined
  try {
    return { line, value: parseJson(text, 'the line') }
  } catch (error) {
    return { line, problem: error instanceof Error ? error.message : String(error) }
  }
}

/** How rows that are still bytes are decoded: the codec of a store, a topic or a file. */
import { openCodec } from '../../engine/index.ts'

/** What decodes a row. */
export interface RowCodec {
  readonly name: string
  /** Of the codec 'msgpack-structures', the lists of keys that values refer to by number, as many as there are by now. */
  readonly structures?: readonly (readonly string[])[] | undefined
  /** The value in `bytes[start, end)`, independent of them. */
  decode(bytes: Uint8Array, start: number, end: number): unknown
}

const portable: ReadonlySet<string> = new Set(['msgpack', 'msgpack-structures', 'json', 'string', 'bytes'])
const opened = new Map<string, RowCodec>()
const openedMax = 100

/** Enough to open the codec in another thread, as text; undefined for a codec of the user's. */
export function describeCodec({ name, structures }: RowCodec): string | undefined {
  return portable.has(name) ? JSON.stringify([name, structures ?? []]) : undefined
}

export function codecOf(description: string): RowCodec {
  let codec = opened.get(description)
  if (codec === undefined) {
    const [name, structures] = JSON.parse(description) as [string, string[][]]
    codec = openCodec(name, undefined, () => structures)
    if (opened.size >= openedMax) opened.clear()
    opened.set(description, codec)
  }
  return codec
}

/** How rows that are still bytes are decoded: the codec of a store, a topic or a file. */
import { openCodec, type RowCodec } from '../../engine/index.ts'

export type { RowCodec } from '../../engine/index.ts'

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

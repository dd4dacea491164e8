/** What decodes encoded rows, and where they lie. */

/** What decodes a row: the codec of a store, a topic or a file. */
export interface RowCodec {
  /** As options name it; 'custom' codecs have names of their own. */
  readonly name: string
  /** Of the codec 'msgpack-structures', the lists of keys that values refer to by number, as many as there are by now. */
  readonly structures?: readonly (readonly string[])[] | undefined
  /** The value in `bytes[start, end)`, independent of them. */
  decode(bytes: Uint8Array, start: number, end: number): unknown
}

/** Where rows lie. */
export interface EncodedRange {
  /** How many there are. */
  readonly size: number
  /** What they lie in. */
  readonly bytes: Uint8Array
  /** First byte of a row; -1: the row has no value (a tombstone). */
  readonly starts: Int32Array
  /** Exclusive. */
  readonly ends: Int32Array
}

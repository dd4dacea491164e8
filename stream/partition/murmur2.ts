/**
 * MurmurHash2 (Austin Appleby) as Kafka's Java client computes it for keyed partitioning: 32 bits, seed 0x9747b28c, little-endian words. A key goes to the
 * same partition here and there (Kafka: `Utils.murmur2`, `BuiltInPartitioner.partitionForKey`).
 */
const seed = 0x9747b28c
const m = 0x5bd1e995
const r = 24

/** Signed 32-bit hash of the bytes. */
export function murmur2(bytes: Uint8Array, size: number = bytes.length): number {
  let h = seed ^ size
  const whole = size & ~3
  for (let i = 0; i < whole; i += 4) {
    let k = (bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24)
    k = Math.imul(k, m)
    k ^= k >>> r
    h = Math.imul(h, m) ^ Math.imul(k, m)
  }
  const rest = size & 3
  if (rest === 3) h ^= (bytes[whole + 2] as number) << 16
  if (rest >= 2) h ^= (bytes[whole + 1] as number) << 8
  if (rest >= 1) h = Math.imul(h ^ (bytes[whole] as number), m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  return h ^ (h >>> 15)
}

let scratch = new Uint8Array(256)
const encoder = new TextEncoder()

/** Hash of a text's UTF-8. */
export function murmur2OfText(text: string): number {
  const { length } = text
  if (length * 3 > scratch.length) scratch = new Uint8Array(length * 6)
  let i = 0
  for (; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) break
    scratch[i] = unit
  }
  return murmur2(scratch, i === length ? length : encoder.encodeInto(text, scratch).written)
}

/** The partition of a keyed record: Kafka's `toPositive(hash) % partitions`. */
export function partitionForHash(hash: number, partitions: number): number {
  return (hash & 0x7fffffff) % partitions
}

/** The filter of a run: docs/FORMAT.md, section 7, "Filter". */
import { Cursor, check, Newer } from './bytes.ts'

export interface Filter {
  readonly keyCount: number
  mayContain(key: Uint8Array): boolean
}

const rotateLeft = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits))

function mix(value: number): number {
  let x = value
  x ^= x >>> 16
  x = Math.imul(x, 0x85ebca6b)
  x ^= x >>> 13
  x = Math.imul(x, 0xc2b2ae35)
  return x ^ (x >>> 16)
}

/** Lanes 0 and 1, unsigned. */
export function hashKey(key: Uint8Array): readonly [number, number] {
  let a = 0x9e3779b9
  let b = key.length ^ 0x85ebca6b
  const words = new Cursor(Buffer.concat([key, Buffer.alloc((4 - (key.length % 4)) % 4)]))
  while (!words.done) {
    const word = words.u32()
    a = (Math.imul(rotateLeft(a ^ word, 13), 0x9e3779b1) + b) | 0
    b = Math.imul(rotateLeft((b + word) | 0, 17), 0x85ebca77) ^ a
  }
  a = mix(a ^ b)
  b = mix((b + a) | 0)
  return [(a + b) >>> 0, b >>> 0]
}

export function readFilter(table: Buffer | undefined): Filter | undefined {
  if (table === undefined) return undefined
  const cursor = new Cursor(table)
  const kind = cursor.u8()
  if (kind !== 1) throw new Newer(`filter kind ${kind}`)
  const probes = cursor.u8()
  cursor.zeros(2)
  const blockCount = cursor.u32()
  const keyCount = cursor.u32()
  const blocks = cursor.take(blockCount * 64)
  check(cursor.done && blockCount === Math.max(1, Math.ceil((keyCount * 10) / 512)), 'the size of a filter')
  return {
    keyCount,
    mayContain(key) {
      const [lane0, lane1] = hashKey(key)
      const block = Math.floor((lane0 * blockCount) / 2 ** 32) * 64
      let x = lane1
      for (let probe = 0; probe < probes; probe++) {
        const bit = x >>> 23
        if (((blocks[block + (bit >> 3)] as number) & (1 << (bit & 7))) === 0) return false
        x = Math.imul(x, 0x9e3779b1)
      }
      return true
    },
  }
}

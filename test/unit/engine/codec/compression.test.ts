/** Goal: what one codec writes, it and other implementations read; nothing makes more bytes than allowed; damage is typed. */
import { createRequire } from 'node:module'
import zlib from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  assertCodecInstalled,
  CODEC_GZIP,
  CODEC_LZ4,
  CODEC_NONE,
  CODEC_SNAPPY,
  CODEC_ZSTD,
  codecIdOf,
  codecNameOf,
  compress,
  compressionNames,
  decompress,
} from '../../../../engine/codec/compression.ts'
import { lz4ContentSize } from '../../../../engine/codec/lz4-frame.ts'
import { loadPackage } from '../../../../engine/codec/optional-package.ts'
import { VarveError } from '../../../../engine/errors.ts'
import { fromHex, fromText, hex, type Random, seeded } from './random.ts'

const sizeMax = 4_000_000
const text = 'varve varve varve: one year, one layer, one layer, one layer'
/** The text as other implementations compress it: lz4_flex in WebAssembly, the Rust crate snap, the reference zstd. */
const foreign: Record<number, string> = {
  [CODEC_LZ4]: '04224d1860408225000000677661727665200600b13a206f6e6520796561722c0a004d6c6179650b0060206c6179657200000000',
  [CODEC_SNAPPY]: '3c147661727665201d06283a206f6e6520796561722c050a0c6c6179655a0b00',
  [CODEC_ZSTD]: '28b52ffd203cfd0000a87661727665203a206f6e6520796561722c6c617965031003aea4c2c72802',
}
const codecs = [CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD]

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'none'
  } catch (error) {
    return error instanceof VarveError ? error.code : `not typed: ${String(error)}`
  }
}

function sample(random: Random, size: number): Uint8Array {
  const words = ['one', 'year', 'layer', 'varve', '\u00e9t\u00e9', `${random.below(1e6)}`]
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; ) {
    const word = random.below(4) === 0 ? random.bytes(1 + random.below(20)) : fromText(random.pick(words))
    bytes.set(word.subarray(0, size - at), at)
    at += word.length
  }
  return bytes
}

describe('compression', () => {
  it('has names and numbers as Kafka has', () => {
    expect(compressionNames.map(codecIdOf)).toEqual([0, 1, 2, 3, 4])
    expect([CODEC_NONE, ...codecs].map(codecNameOf)).toEqual(['none', 'gzip', 'snappy', 'lz4', 'zstd'])
    expect(codecNameOf(5)).toBeUndefined()
    expect(() => codecIdOf('brotli' as 'gzip')).toThrow(RangeError)
    expect(codeOf(() => compress(7, fromText('x')))).toBe('CORRUPT')
  })

  it('none returns the bytes themselves, within the bound', () => {
    const bytes = fromText(text)
    expect(compress(CODEC_NONE, bytes)).toBe(bytes)
    expect(decompress(CODEC_NONE, bytes, sizeMax)).toBe(bytes)
    expect(codeOf(() => decompress(CODEC_NONE, bytes, 3))).toBe('TOO_LARGE')
  })

  for (const id of codecs) {
    const name = codecNameOf(id)

    it(`${name}: bytes of any kind and size come back, from shared memory too, as plain arrays`, async () => {
      assertCodecInstalled(id)
      await seeded(random => {
        for (const size of [0, 1, 11, 100, 4096, 65_535, 65_536, 65_537, 300_000]) {
          const bytes = new Uint8Array(new SharedArrayBuffer(size))
          bytes.set(sample(random, size))
          const packed = compress(id, bytes)
          expect(packed.constructor).toBe(Uint8Array)
          const content = decompress(id, packed, size)
          expect(content.constructor).toBe(Uint8Array)
          expect(Buffer.compare(content, bytes)).toBe(0)
          if (size > 0) expect(codeOf(() => decompress(id, packed, size - 1))).toBe('TOO_LARGE')
        }
      })
    })

    it(`${name}: a bomb is refused`, () => {
      expect(codeOf(() => decompress(id, compress(id, new Uint8Array(20_000_000)), sizeMax))).toBe('TOO_LARGE')
    })

    it(`${name}: damaged bytes are a typed error or some content within the bound`, async () => {
      await seeded(random => {
        const packed = compress(id, sample(random, 3000))
        for (let i = 0; i < 1500; i++) {
          let bytes = packed.slice()
          for (let flips = 1 + random.below(4); flips > 0; flips--) bytes[random.below(bytes.length)] = random.below(256)
          if (random.below(4) === 0) bytes = bytes.slice(0, random.below(bytes.length))
          const code = codeOf(() => expect(decompress(id, bytes, 10_000).length).toBeLessThanOrEqual(10_000))
          expect(['none', 'CORRUPT', 'TOO_LARGE']).toContain(code)
        }
      })
    })
  }

  it('reads what other implementations wrote', () => {
    for (const [id, packed] of Object.entries(foreign))
      expect(Buffer.from(decompress(Number(id), fromHex(packed), 1000)).toString()).toBe(text)
    expect(Buffer.from(decompress(CODEC_GZIP, zlib.gzipSync(text), 1000)).toString()).toBe(text)
    const twoMembers = Buffer.concat([zlib.gzipSync('one '), zlib.gzipSync('two')])
    expect(Buffer.from(decompress(CODEC_GZIP, twoMembers, 1000)).toString()).toBe('one two')
  })

  it('writes snappy with the framing of snappy-java', () => {
    const packed = hex(compress(CODEC_SNAPPY, fromText(text)))
    expect(packed).toBe(`82534e41505059000000000100000001${'00000020'}${foreign[CODEC_SNAPPY]}`)
    const twoChunks = fromHex(`82534e41505059000000000100000001${`00000020${foreign[CODEC_SNAPPY]}`.repeat(2)}`)
    expect(Buffer.from(decompress(CODEC_SNAPPY, twoChunks, 1000)).toString()).toBe(text + text)
  })

  it('measures LZ4 frames of every shape before it decompresses them', () => {
    const lz4 = createRequire(import.meta.url)('lz4-napi') as { compressFrameSync(bytes: Uint8Array, options: object): Uint8Array }
    for (const options of [{}, { contentChecksum: true }, { blockChecksums: true }, { contentChecksum: true, blockChecksums: true }]) {
      for (const content of [
        new Uint8Array(0),
        fromText(text),
        new Uint8Array(700_000),
        Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >>> 7),
      ]) {
        const frame = lz4.compressFrameSync(content, options)
        expect(lz4ContentSize(frame)).toBe(content.length)
        expect(Buffer.compare(decompress(CODEC_LZ4, frame, content.length), content)).toBe(0)
      }
    }
    expect(() => lz4ContentSize(fromHex(`${foreign[CODEC_LZ4]}00`))).toThrow('end')
  })

  it('names a package that is missing', () => {
    let missing: unknown
    try {
      loadPackage('varve-no-such-codec', 'testing')
    } catch (error) {
      missing = error
    }
    expect(missing).toMatchObject({ code: 'CODEC_MISSING', details: { package: 'varve-no-such-codec' } })
    expect(String(missing)).toContain('npm install varve-no-such-codec')
  })
})

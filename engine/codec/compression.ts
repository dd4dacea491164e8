/**
 * Compression of whole blocks, by the names and numbers that Kafka gives its codecs: 0 none, 1 gzip, 2 snappy, 3 lz4 (frames), 4 zstd.
 *
 * Everything is synchronous. gzip is Node's. zstd is Node's where Node has it (22.15 and later); older ones read it with `fzstd` and write it with
 * `@toondepauw/node-zstd`. snappy and lz4 are the packages `snappy` and `lz4-napi`. A package is loaded on first use; a missing one is CODEC_MISSING.
 * `decompress` never makes more than `sizeMax` bytes: content sizes are measured first, or counted as they appear.
 */

import zlib from 'node:zlib'
import { assert, VarveError } from '../errors.ts'
import { damagedBytes } from './damage.ts'
import { lz4ContentSize } from './lz4-frame.ts'
import { loadPackage } from './optional-package.ts'
import { compressXerial, decompressXerialOrRaw, type SnappyBlocks } from './snappy-framing.ts'

export type CompressionName = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** Position = the codec's number in a record batch's attributes. */
export const compressionNames: readonly CompressionName[] = Object.freeze(['none', 'gzip', 'snappy', 'lz4', 'zstd'])

export const CODEC_NONE: number = 0
export const CODEC_GZIP: number = 1
export const CODEC_SNAPPY: number = 2
export const CODEC_LZ4: number = 3
export const CODEC_ZSTD: number = 4

interface Codec {
  compress(bytes: Uint8Array): Uint8Array
  /** May throw anything; makes at most `sizeMax` bytes. */
  decompress(bytes: Uint8Array, sizeMax: number): Uint8Array
}

interface ZstdOfNode {
  zstdCompressSync(bytes: Uint8Array): Uint8Array
  zstdDecompressSync(bytes: Uint8Array, options: { maxOutputLength: number }): Uint8Array
}

interface Lz4Package {
  compressFrameSync(bytes: Uint8Array): Uint8Array
  decompressFrameSync(bytes: Uint8Array): Uint8Array
}

interface FzstdPackage {
  Decompress: new (onData: (piece: Uint8Array) => void) => { push(bytes: Uint8Array, final: boolean): void }
}

interface NodeZstdPackage {
  Encoder: new (level: number) => { encodeSync(bytes: Uint8Array): Uint8Array }
}

const codecs: (Codec | undefined)[] = []
/** Codecs that could be loaded, as far as somebody asked. */
const installed: (boolean | undefined)[] = []

export function codecIdOf(name: CompressionName): number {
  const id = compressionNames.indexOf(name)
  if (id < 0) throw new RangeError(`compression: unknown codec ${String(name)}; one of ${compressionNames.join(', ')}`)
  return id
}

/** Undefined for a number that is no codec. */
export function codecNameOf(id: number): CompressionName | undefined {
  return compressionNames[id]
}

/** Throws CODEC_MISSING now if this process could not write or read with the codec; called when a store is defined or opened. */
export function assertCodecInstalled(id: number): void {
  decompress(id, compress(id, Uint8Array.of(1, 2, 3)), 3)
}

/** Whether `assertCodecInstalled` would pass. A codec that is missing is looked for anew each time: its package may be installed meanwhile. */
export function isCodecInstalled(id: number): boolean {
  if (installed[id] !== true) installed[id] = findCodec(id)
  return installed[id] === true
}

function findCodec(id: number): boolean {
  try {
    assertCodecInstalled(id)
    return true
  } catch (error) {
    if (error instanceof VarveError && error.code === 'CODEC_MISSING') return false
    throw error
  }
}

/** The bytes as the codec's format, in memory of their own; `none` returns the input itself. */
export function compress(id: number, bytes: Uint8Array): Uint8Array {
  if (id === CODEC_NONE) return bytes
  return plain(codecFor(id).compress(bytes))
}

/** Throws TOO_LARGE when the content has more than `sizeMax` bytes, CORRUPT when the bytes are not the codec's. `none` returns the input itself. */
export function decompress(id: number, bytes: Uint8Array, sizeMax: number): Uint8Array {
  assert(Number.isSafeInteger(sizeMax) && sizeMax >= 0, 'the largest size is a safe integer', sizeMax)
  if (id === CODEC_NONE) {
    if (bytes.length > sizeMax) throw tooLarge(id, sizeMax)
    return bytes
  }
  const codec = codecFor(id)
  let content: Uint8Array
  try {
    content = codec.decompress(bytes, sizeMax)
  } catch (cause) {
    if (cause instanceof VarveError) throw cause
    if ((cause as { code?: unknown } | null)?.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(id, sizeMax, cause)
    throw damagedBytes(`not ${codecNameOf(id)} data`, 0, {}, cause)
  }
  if (content.length > sizeMax) throw tooLarge(id, sizeMax)
  return plain(content)
}

/** A Buffer as a Uint8Array over the same memory, so that code on hot paths sees one shape of object. */
function plain(bytes: Uint8Array): Uint8Array {
  return bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

function tooLarge(id: number, sizeMax: number, cause?: unknown): VarveError {
  const details = { limit: 'decompressed bytes', expected: sizeMax, codec: codecNameOf(id) }
  return new VarveError('TOO_LARGE', `${codecNameOf(id)} data holds more than ${sizeMax} bytes`, { cause, details })
}

function codecFor(id: number): Codec {
  return (codecs[id] ??= makeCodec(id))
}

function makeCodec(id: number): Codec {
  if (id === CODEC_GZIP) return makeGzip()
  if (id === CODEC_SNAPPY) return makeSnappy()
  if (id === CODEC_LZ4) return makeLz4()
  if (id === CODEC_ZSTD)
    return typeof (zlib as unknown as Partial<ZstdOfNode>).zstdCompressSync === 'function' ? makeZstdOfNode() : makeZstdOfPackages()
  throw damagedBytes('unknown compression codec', 0, { actual: id })
}

function makeGzip(): Codec {
  return {
    compress: bytes => zlib.gzipSync(bytes),
    decompress: (bytes, sizeMax) => zlib.gunzipSync(bytes, { maxOutputLength: Math.max(1, sizeMax) }),
  }
}

function makeSnappy(): Codec {
  const snappy = loadPackage('snappy', 'snappy compression') as SnappyBlocks
  return {
    compress: bytes => compressXerial(snappy, bytes),
    decompress: (bytes, sizeMax) => decompressXerialOrRaw(snappy, bytes, sizeMax),
  }
}

function makeLz4(): Codec {
  const lz4 = loadPackage('lz4-napi', 'lz4 compression') as Lz4Package
  return {
    compress: bytes => lz4.compressFrameSync(bytes),
    decompress(bytes, sizeMax) {
      if (lz4ContentSize(bytes) > sizeMax) throw tooLarge(CODEC_LZ4, sizeMax)
      return lz4.decompressFrameSync(bytes)
    },
  }
}

function makeZstdOfNode(): Codec {
  const zstd = zlib as unknown as ZstdOfNode
  return {
    compress: bytes => zstd.zstdCompressSync(bytes),
    decompress: (bytes, sizeMax) => zstd.zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, sizeMax) }),
  }
}

/** Reading and writing come from two packages, because no one package does both synchronously and with a bound on what it makes. */
function makeZstdOfPackages(): Codec {
  let encoder: { encodeSync(bytes: Uint8Array): Uint8Array } | undefined
  return {
    compress(bytes) {
      if (encoder === undefined) {
        const { Encoder } = loadPackage('@toondepauw/node-zstd', 'zstd compression before Node.js 22.15') as NodeZstdPackage
        encoder = new Encoder(3)
      }
      return encoder.encodeSync(bytes)
    },
    decompress(bytes, sizeMax) {
      const { Decompress } = loadPackage('fzstd', 'zstd decompression before Node.js 22.15') as FzstdPackage
      const pieces: Uint8Array[] = []
      let size = 0
      const stream = new Decompress(piece => {
        size += piece.length
        if (size > sizeMax) throw tooLarge(CODEC_ZSTD, sizeMax)
        pieces.push(piece)
      })
      stream.push(bytes, true)
      return join(pieces, size)
    },
  }
}

function join(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const joined = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  return joined
}

/**
 * Memory of blocks that threads share, in pieces that are used again. The collector sees of shared memory only its head, and each thread that knew a piece must collect it before it is free: what one
 * job leaves would stay beside what the next one takes.
 *
 * A thread takes pieces for the outputs of its tasks (`SharedBlocks`). Who has the outputs, and knows that nobody reads them any more, hands the pieces to the threads again (`ExecutorSession.reuse`),
 * which keep them here. Pieces of outputs that got lost are the collector's.
 */

/** Bytes of a piece; what is larger has memory of its own. */
const pieceBytes = 2 << 20

/** Pieces of this thread that nobody uses. */
const spare: SharedArrayBuffer[] = []
/** Pieces that this thread took since `settle`. */
let taken = 0

/** Blocks of one output, back to back. */
export class SharedBlocks {
  #piece: SharedArrayBuffer | undefined
  #used = 0

  /** So many bytes from a multiple of eight on; they may hold anything. */
  allocate(size: number): Uint8Array {
    const padded = (size + 7) & ~7
    if (padded > pieceBytes / 2) return new Uint8Array(new SharedArrayBuffer(size))
    if (this.#piece === undefined || this.#used + padded > pieceBytes) {
      this.#piece = spare.pop() ?? new SharedArrayBuffer(pieceBytes)
      this.#used = 0
      taken++
    }
    const block = new Uint8Array(this.#piece, this.#used, size)
    this.#used += padded
    return block
  }
}

/** The pieces that these blocks lie in, each once. */
export function piecesOf(blocks: Iterable<Uint8Array>): SharedArrayBuffer[] {
  const pieces = new Set<SharedArrayBuffer>()
  for (const { buffer } of blocks) {
    if (buffer instanceof SharedArrayBuffer && buffer.byteLength === pieceBytes) pieces.add(buffer)
  }
  return [...pieces]
}

/** Pieces that this thread may use. */
export function reusePieces(pieces: readonly SharedArrayBuffer[]): void {
  spare.push(...pieces)
}

/** A job is over: spare pieces stay, as many as it took. */
export function settlePieces(): void {
  spare.length = Math.min(spare.length, taken)
  taken = 0
}

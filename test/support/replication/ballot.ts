/**
 * A node's durable promise: its term and whom it voted for in it. Kept in the log's metadata, so that it shares the commit log's syncs.
 * Invariant: no message of a term leaves the node before the ballot of that term is on the disk.
 */
import type { LogMetadata } from '../../../engine/log/log.ts'

export interface Ballot {
  readonly term: number
  /** Node, or undefined when the vote of the term is free. */
  readonly votedFor: number | undefined
}

const slot = 'vote'

export function readBallot(metadata: LogMetadata): Ballot {
  const bytes = metadata.get(slot)
  if (bytes === undefined) return { term: 0, votedFor: undefined }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const votedFor = view.getInt32(4)
  return { term: view.getInt32(0), votedFor: votedFor < 0 ? undefined : votedFor }
}

/** Resolves when the ballot is durable. Throws what a commit throws; then nothing has changed. */
export function writeBallot(metadata: LogMetadata, { term, votedFor }: Ballot): Promise<void> {
  const view = new DataView(new ArrayBuffer(8))
  view.setInt32(0, term)
  view.setInt32(4, votedFor ?? -1)
  return metadata.set(slot, new Uint8Array(view.buffer)).durable
}

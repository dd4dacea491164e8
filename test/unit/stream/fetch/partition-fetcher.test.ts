/** Goal: what goes wrong or changes while a slice is read hands out nothing that does not count, and leaves nothing out. */
import { expect, test } from 'vitest'
import { encodeRecordBatch } from '../../../../engine/batch/record-batch-codec.ts'
import type { AbortedTransaction, LogSlice } from '../../../../engine/index.ts'
import type { ConsumedRecord, RecordSource } from '../../../../stream/fetch/consumed-record.ts'
import { type FetchLog, PartitionFetcher } from '../../../../stream/fetch/partition-fetcher.ts'

const source = { topic: 't', partition: 0 } as RecordSource
const value = new Uint8Array(1)

function logOf(verbs: Pick<FetchLog, 'read' | 'abortedTransactions'>, endOffset: number): FetchLog {
  const ends = { startOffset: 0, endOffset, highWatermark: endOffset, lastStableOffset: endOffset }
  return { name: 'l', ...ends, ...verbs, offsetForTime: () => undefined, waitFor: () => Promise.resolve() }
}

function sliceOf(bytes: Uint8Array, nextOffset: number): LogSlice {
  return { kind: 'topic', bytes, positions: [0], nextOffset }
}

async function next(fetcher: PartitionFetcher): Promise<ConsumedRecord[]> {
  return await fetcher.next(10, 1000)
}

test.each(['in this thread', 'in another'])(
  'records of an aborted transaction stay hidden when it could not be told at first: a log %s',
  async place => {
    const producer = { producerId: 3, producerEpoch: 0, baseSequence: 0, transactional: true }
    const bytes = encodeRecordBatch([{ value }], { baseOffset: 0, epoch: 0, timestamp: 1, ...producer })
    let tries = 0
    const aborted = (): AbortedTransaction[] => {
      if (++tries === 1) throw new Error('EIO')
      return [{ producerId: 3, firstOffset: 0, lastOffset: 1 }]
    }
    const abortedTransactions = place === 'in another' ? async (): Promise<AbortedTransaction[]> => aborted() : aborted
    const fetcher = new PartitionFetcher(logOf({ read: () => sliceOf(bytes, 2), abortedTransactions }, 2), source, 0, 'read_committed')
    await expect(next(fetcher)).rejects.toThrow('EIO')
    expect([fetcher.hasSlice, fetcher.position]).toEqual([false, 0])
    expect(await next(fetcher)).toEqual([])
    expect([tries, fetcher.position]).toEqual([2, 2])
  },
)

test('a seek while a log in another thread is read counts: nothing that lies between is left out', async () => {
  const read = async (offset: number): Promise<LogSlice> =>
    sliceOf(encodeRecordBatch([{ value }], { baseOffset: offset, epoch: 0, timestamp: 1 }), offset + 1)
  const fetcher = new PartitionFetcher(logOf({ read, abortedTransactions: () => [] }, 3), source, 2, 'read_committed')
  const reading = next(fetcher)
  fetcher.seek(0)
  const offsets: number[] = (await reading).map(({ offset }) => offset)
  while (fetcher.position < 3) offsets.push(...(await next(fetcher)).map(({ offset }) => offset))
  expect(offsets).toEqual([0, 1, 2])
})

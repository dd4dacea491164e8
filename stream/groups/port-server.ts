/**
 * The owner's side of a port: answers the calls of consumers in another thread. Made by `TopicGroups.serve`, one a port.
 *
 * When the port closes, because the thread has ended or let go of it, its members leave at once: their partitions go to others without waiting for the
 * session timeout. Static members leave for a while, as always.
 */
import { isVarveError, type LocalLog } from '../../engine/index.ts'
import type { JoinRequest } from './group-messages.ts'
import type { GroupTransport } from './group-transport.ts'
import {
  type LogState,
  type OpenedLog,
  type PortCall,
  type PortLike,
  packError,
  type ReadAnswer,
  type ToMember,
  type ToOwner,
} from './port-messages.ts'

/** What it needs of the topics. */
export interface PortHost {
  readonly transport: GroupTransport
  /** Of the topic with this name, or (when given) with this id. NOT_FOUND when it is gone. */
  partition(topic: string, partition: number, topicId?: number): { readonly log: LocalLog; readonly topicId: number }
  /** Names of the codecs of a topic's keys and values. */
  codecs(topic: string): { readonly keyCodec: string; readonly value: string }
}

/** Answers calls until the port closes; the returned function ends that. */
export function servePort(port: PortLike, host: PortHost): () => void {
  const server = new PortServer(port, host)
  port.on('message', message => server.take(message as ToOwner))
  port.on('close', () => server.close())
  // The owner lives for other things.
  port.unref()
  return () => port.close()
}

class PortServer {
  readonly #port: PortLike
  readonly #host: PortHost
  /** By member id: the group, whether it is a static member, and what ends its nudges. */
  readonly #members = new Map<string, { readonly group: string; readonly isStatic: boolean; readonly endListening: () => void }>()
  readonly #waits = new Map<number, AbortController>()
  #isClosed = false

  constructor(port: PortLike, host: PortHost) {
    this.#port = port
    this.#host = host
  }

  take(message: ToOwner): void {
    if (message.verb === 'cancel') {
      this.#waits.get(message.id)?.abort()
      this.#waits.delete(message.id)
      return
    }
    const { id } = message
    this.#answer(message, id).then(
      value => this.#post({ id, value }),
      error => this.#post({ id, error: packError(error) }),
    )
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const wait of this.#waits.values()) wait.abort()
    // A static member is to be back within its session timeout, in another thread perhaps, and finds its partitions.
    for (const [memberId, { group, isStatic: temporary, endListening }] of this.#members) {
      endListening()
      Promise.resolve()
        .then(() => this.#host.transport.request({ type: 'leave', group, memberId, temporary }))
        .catch(() => undefined) // the database was closed meanwhile
    }
  }

  #post(message: ToMember): void {
    if (this.#isClosed) return
    const bytes = 'value' in message ? (message.value as Partial<ReadAnswer> | undefined)?.slice?.bytes : undefined
    // A slice is the reader's own copy, so its memory may move; unless it shares that with others.
    const isAlone = bytes?.buffer instanceof ArrayBuffer && bytes.byteLength > 0 && bytes.byteLength === bytes.buffer.byteLength
    this.#port.postMessage(message, isAlone ? [bytes.buffer as ArrayBuffer] : [])
  }

  async #answer(call: PortCall, id: number): Promise<unknown> {
    const { transport } = this.#host
    if (call.verb === 'commit') return await transport.commit(call.commit)
    if (call.verb === 'committed') return await transport.committed(call.group, call.partitions, call.topicIds)
    if (call.verb === 'matching') return await transport.matching(call.pattern)
    if (call.verb === 'request') {
      const { request } = call
      try {
        const reply = await transport.request(request)
        if (request.type === 'join' && reply !== undefined) this.#listen(request, reply.memberId)
        if (request.type === 'leave') this.#forget(request.memberId)
        return reply
      } catch (error) {
        // It joins as another one, if at all, and never leaves as this.
        const isGone = isVarveError(error, 'FENCED_MEMBER') || isVarveError(error, 'UNKNOWN_MEMBER')
        if (request.type === 'heartbeat' && isGone) this.#forget(request.memberId)
        throw error
      }
    }
    const { log, topicId } = this.#host.partition(call.topic, call.partition, call.topicId)
    switch (call.verb) {
      case 'open':
        return { state: stateOf(log), name: log.name, topicId, ...this.#host.codecs(call.topic) } satisfies OpenedLog
      case 'read': {
        const slice = await log.readAsync(call.offset, call.bytesMax === undefined ? {} : { bytesMax: call.bytesMax })
        return { state: stateOf(log), slice }
      }
      case 'aborted':
        return { state: stateOf(log), aborted: log.abortedTransactions(call.from, call.to) }
      case 'offset-for-time':
        return { state: stateOf(log), offset: log.offsetForTime(call.time) }
      case 'wait': {
        const controller = new AbortController()
        this.#waits.set(id, controller)
        try {
          await log.waitFor(call.offset, { signal: controller.signal })
        } finally {
          this.#waits.delete(id)
        }
        return { state: stateOf(log) }
      }
    }
  }

  #listen({ group, instanceId }: JoinRequest, memberId: string): void {
    const endListening = this.#host.transport.listen(memberId, () => this.#post({ nudge: memberId }))
    this.#members.set(memberId, { group, isStatic: instanceId !== undefined, endListening })
  }

  #forget(memberId: string): void {
    this.#members.get(memberId)?.endListening()
    this.#members.delete(memberId)
  }
}

function stateOf({ startOffset, endOffset, highWatermark, lastStableOffset }: LocalLog): LogState {
  return { startOffset, endOffset, highWatermark, lastStableOffset }
}

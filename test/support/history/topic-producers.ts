/**
 * Producers of topics that have an identity over many lives of a machine, with what they remember from one to the next: a loader that copies the lines of a
 * source under its name, and one that sends batches again whose answer it did not hear. What they do goes into a history.
 */
import { isVarveError } from '../../../engine/errors.ts'
import type { Database, ProducerEpoch } from '../../../index.ts'
import type { PendingOperation } from './recorder.ts'
import type { Life } from './simulated-lives.ts'
import { outgoingOf, partitionName, RecordedProducer, type RecordedSend, type TextTopic } from './topic-clients.ts'

/** Somebody hears what it rejects with, also when its process dies before anybody awaits it. */
function heard<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

/** A line of the source, and whether somebody has been told that it is there. */
interface Line {
  readonly sent: RecordedSend
  readonly pending: PendingOperation
  isAnswered: boolean
}

/** Copies a source line by line under a name; reads it again from somewhere before the last line that is there. */
export class Loader {
  readonly #name: string
  readonly #draw: (life: Life) => RecordedSend
  readonly #lines: Line[] = []

  constructor(name: string, draw: (life: Life) => RecordedSend) {
    this.#name = name
    this.#draw = draw
  }

  /** One life; at its end all lines are there, unless it dies. */
  async run(topic: TextTopic, life: Life): Promise<void> {
    const { random, recorder } = life
    const recorded = new RecordedProducer(recorder, this.#name, 'sync')
    // Now and then another takes the name over, which shuts this one out.
    for (let takers = 1 + random.below(3); takers > 0; takers--) {
      const producer = topic.producer({ id: this.#name, lingerMs: random.below(3), batchBytes: 64 + random.below(200) })
      let next = Math.max(0, (producer.lastSequence() ?? -1) + 1 - random.below(4))
      const under: Promise<void>[] = []
      const put = (index: number): void => void under.push(heard(this.#send(topic, producer, index, life)))
      for (let round = 2 + random.below(5); round > 0; round--) {
        for (let count = 1 + random.below(5); count > 0; count--, next++) {
          if (next === this.#lines.length) {
            const sent = this.#draw(life)
            this.#lines.push({ sent, pending: recorded.begin(topic.name, sent), isAnswered: false })
          }
          put(next)
        }
        await life.pause(4)
      }
      // The last one goes on until everything is there.
      if (takers === 1) for (; next < this.#lines.length; next++) put(next)
      else if (random.chance(0.5)) continue
      await Promise.all(under)
      await producer.close()
    }
  }

  async #send(topic: TextTopic, producer: ReturnType<TextTopic['producer']>, index: number, life: Life): Promise<void> {
    const line = this.#lines[index]!
    try {
      const { partition, offset } = await producer.send(outgoingOf(line.sent), { sequence: index })
      if (line.isAnswered || !life.environment.isAlive) return
      line.isAnswered = true
      line.pending.ok(offset < 0 ? undefined : { partition: partitionName(topic.name, partition), offset })
    } catch (error) {
      // Shut out, or closed with the database: it is sent again.
      if (!isVarveError(error, 'PRODUCER_FENCED') && !isVarveError(error, 'CLOSED')) throw error
    }
  }
}

/** A batch of which nobody has said what became of it. */
interface Unanswered {
  readonly partition: number
  readonly sequence: number
  readonly sends: readonly RecordedSend[]
  readonly pendings: readonly PendingOperation[]
}

/** Sends batches under an identity that it keeps, and those again whose answer it did not hear, in their order. */
export class Resender {
  readonly #process: string
  readonly #draw: (life: Life, partition: number) => RecordedSend
  #identity: ProducerEpoch | undefined
  readonly #sequences: number[] = []
  #unanswered: Unanswered[] = []

  constructor(process: string, draw: (life: Life, partition: number) => RecordedSend) {
    this.#process = process
    this.#draw = draw
  }

  async run(database: Database, topic: TextTopic, life: Life): Promise<void> {
    const { random, recorder } = life
    const recorded = new RecordedProducer(recorder, this.#process, 'sync')
    const producer = database.producer(this.#identity === undefined ? { idempotent: true } : { identity: this.#identity })
    if (this.#identity === undefined) this.#startOver()
    const append = async (batch: Unanswered): Promise<void> => {
      const { partition, sequence, sends, pendings } = batch
      const appended = await producer.appendBatch(topic, partition, sends.map(outgoingOf), { sequence })
      if (!life.environment.isAlive) return
      this.#identity = producer.identity
      if (!this.#unanswered.includes(batch)) return
      this.#unanswered = this.#unanswered.filter(other => other !== batch)
      for (const [i, pending] of pendings.entries())
        pending.ok({ partition: partitionName(topic.name, partition), offset: appended.baseOffset + i })
    }
    const under = this.#unanswered.map(batch => heard(append(batch)))
    for (let round = 3 + random.below(8); round > 0; round--) {
      const partition = random.below(topic.partitionCount)
      if (this.#unanswered.filter(batch => batch.partition === partition).length < 5) {
        const sends = Array.from({ length: 1 + random.below(3) }, () => this.#draw(life, partition))
        const sequence = this.#sequences[partition] ?? 0
        this.#sequences[partition] = sequence + sends.length
        const batch = { partition, sequence, sends, pendings: sends.map(sent => recorded.begin(topic.name, sent)) }
        this.#unanswered.push(batch)
        under.push(heard(append(batch)))
        // An answer that did not arrive: the same again, at once.
        if (random.chance(0.3)) under.push(heard(append(batch)))
      }
      await life.pause(4)
    }
    await Promise.all(under)
    await producer.close()
  }

  /**
   * No answer came under the identity of the life before, so nobody knows it: it may be given to another where nothing of it was stored, and what was stored
   * stays. Under a new identity a batch of it would be another one, so none goes out again, and nobody learns what became of it.
   */
  #startOver(): void {
    this.#unanswered = []
    this.#sequences.length = 0
  }
}

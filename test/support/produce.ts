/**
 * An idempotent producer against the model: batches in sequence, resends of old ones, wrong sequences and fenced epochs.
 */
import { encodeRecordBatch } from '../../engine/batch/record-batch-codec.ts'
import { isVarveError } from '../../engine/errors.ts'
import type { ProducerIdentity } from '../../engine/log/log.ts'
import { durabilityOf, pickLog, readBack } from './appends.ts'
import { modelOfTopic, randomTopicRecords } from './batches.ts'
import { check, equal } from './compare.ts'
import { isCompacted, type LogModel, newestEpoch, producersOf, withLog } from './log-model.ts'
import type { World } from './world.ts'

export function produce(world: World): void {
  const { random, database } = world
  // Once records are gone, what the log remembers of their producers may go with them.
  const isWhole = (log: LogModel): boolean => log.start === 0 || log.start <= (log.batches[0]?.base ?? 0)
  const model = pickLog(world, log => log.definition.kind === 'topic' && isWhole(log) && !isCompacted(log))
  if (model === undefined) return
  const log = database.log(model.definition.name)
  const id = 100 + random.below(3)
  const known = producersOf(model).get(id)
  const count = 1 + random.below(world.swarm.recordsMax)
  const records = randomTopicRecords(random, count, world.swarm.recordBytesMax, world.environment.clock.now())
  const epoch = known?.epoch ?? random.below(3)
  const what = random.below(10)
  const send = (producer: ProducerIdentity, sent = records): ReturnType<typeof log.appendRecords> =>
    random.chance(0.5)
      ? log.appendRecords(sent, { producer, durability: durabilityOf(world) })
      : log.appendBatches(
          encodeRecordBatch(sent, { producerId: producer.id, producerEpoch: producer.epoch, baseSequence: producer.sequence }),
          { durability: durabilityOf(world) },
        )
  if (known !== undefined && what < 3) {
    const old = known.kept[random.below(known.kept.length)]
    check(old !== undefined, 'a producer has a batch', id)
    const again = randomTopicRecords(random, old.count, 10, world.environment.clock.now())
    const answer = send({ id, epoch, sequence: old.sequence }, again)
    world.note(`resend ${log.name} producer ${id} sequence ${old.sequence}`)
    equal([answer.duplicate, answer.baseOffset, answer.endOffset].join(), [true, old.base, old.end].join(), `log ${log.name}: a resend`)
    return
  }
  if (known !== undefined && what === 3) {
    refused('OUT_OF_ORDER_SEQUENCE', () => send({ id, epoch, sequence: known.next + 7 }))
    if (epoch > 0) refused('PRODUCER_FENCED', () => send({ id, epoch: epoch - 1, sequence: known.next }))
    return
  }
  const isNewEpoch = known === undefined || what === 4
  const identity = { id, epoch: known !== undefined && what === 4 ? epoch + 1 : epoch, sequence: isNewEpoch ? 0 : known.next }
  const answer = send(identity)
  equal(answer.duplicate, false, `log ${log.name}: a new batch of a producer`)
  const expected = { base: model.end, end: model.end + count, epoch: newestEpoch(model), records: records.map(modelOfTopic) }
  const sequence = world.record(withLog(world.state, readBack(log, model, [expected])))
  world.note(`produce ${log.name} ${JSON.stringify(identity)} ${expected.base}..${expected.end} -> ${sequence}`)
  world.follow(sequence, answer)
}

function refused(code: 'OUT_OF_ORDER_SEQUENCE' | 'PRODUCER_FENCED', run: () => unknown): void {
  try {
    run()
  } catch (error) {
    if (isVarveError(error, code)) return
    throw error
  }
  check(false, `a batch is refused with ${code}`)
}

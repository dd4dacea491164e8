/** A job queue: two workers share one partition; jobs are delayed, tried again, put aside when they keep failing, and counted exactly once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open, type Queue } from 'varve'

const folder = mkdtempSync(join(tmpdir(), 'varve-jobs-'))
const db = await open(folder)
const jobs = db.topic<string>('jobs', { value: 'string' })
const failed = db.topic<string>('failed-jobs', { value: 'string' })
const counts = db.store<number, string>('counts')
const done: string[] = []

function perform(job: string): void {
  if (job === 'broken') throw new Error('no such address')
}

async function work(queue: Queue<string>): Promise<void> {
  for await (const message of queue) {
    const job = message.value ?? ''
    try {
      perform(job)
      // The count and the acknowledgement are one commit: however often the process dies, each job counts once.
      await db.transaction(tx => {
        tx.store(counts).put('mails', (tx.store(counts).get('mails') ?? 0) + 1)
        message.ack(tx)
      })
      done.push(job)
    } catch (error) {
      // Again in a moment; after `deliveriesMax` deliveries it goes to the dead-letter topic, with the error.
      await message.release({ delayMs: 10, error })
    }
  }
}

await jobs.send({ value: 'later', delayMs: 50 })
await jobs.sendBatch(['mail ada', 'broken', 'mail bob', 'mail cyd'])

const queues = [1, 2].map(() => jobs.queue({ group: 'mailer', lockMs: 5_000, deliveriesMax: 3, deadLetter: failed }))
const workers = queues.map(work)

for await (const letter of failed.consume().records()) {
  const [deliveries, error] = [letter.header('varve.dead-letter.deliveries'), letter.header('varve.dead-letter.error')]
  while (done.length < 4) await new Promise(resolve => setTimeout(resolve, 5))
  console.log(`done: ${done.sort().join(', ')}`)
  console.log(`gave up on "${letter.value}" after ${deliveries} deliveries: ${error}`)
  break
}
const { available, inFlight, delayed } = jobs.queue({ group: 'mailer' }).stats()
console.log(`mails counted: ${counts.get('mails')}, left: ${available + inFlight + delayed}`)

for (const queue of queues) await queue.close()
await Promise.all(workers)
await db.close()
rmSync(folder, { recursive: true, force: true })

/** A worker thread reads one moment of a log, straight from segments and shared memory, while the owner goes on writing. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type LeaseDescription, open, openLease } from 'varve'

async function owner(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'varve-lease-'))
  const db = await open(folder)
  await db.define([{ name: 'events', kind: 'topic' }])
  const events = db.log('events')
  await events.appendRecords(Array.from({ length: 1000 }, (_, i) => ({ value: `event ${i}` }))).durable

  const lease = db.lease({ logs: ['events'] })
  const worker = new Worker(new URL(import.meta.url), { workerData: lease.share() })
  const counted = new Promise<number>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  await events.appendRecords([{ value: 'after the lease was taken' }]).durable
  await db.seal() // what the lease needs stays, whatever the owner does
  console.log(`the worker counted ${await counted} records, the owner has ${events.endOffset}`)
  lease.release()
  await db.close()
  rmSync(folder, { recursive: true, force: true })
}

async function reader(description: LeaseDescription): Promise<void> {
  const lease = await openLease(description)
  const events = lease.log('events')
  let offset = events.startOffset
  while (offset < events.endOffset) offset = events.read(offset).nextOffset
  lease.release()
  parentPort?.postMessage(offset - events.startOffset)
}

if (isMainThread) await owner()
else await reader(workerData as LeaseDescription)

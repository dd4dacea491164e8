/**
 * JavaScript by hand, one thread: a loop over records. Over objects: the clock stops while records are read and decoded into objects, some ten thousand at a time. Over the topic: the
 * same loop with all of it timed, as a program without jobs would do it.
 */
import { type Database, open } from 'varve'
import type { Answer, Contestant, Place, Stopwatch } from '../workload.ts'

export interface JavascriptJob<T, S> {
  /** Topics that are read, one after the other. */
  readonly topics: readonly string[]
  readonly initial: () => S
  /** The hand-written loop over some rows of the topic of this index. */
  readonly loop: (rows: readonly T[], state: S, topic: number) => void
  /** What the job asks of the state, within the clock. */
  readonly finish: (state: S, place: Place) => unknown
  readonly answer: (result: never) => Answer
}

const rowsAtATime = 50_000

export function javascript<T, S>(job: JavascriptJob<T, S>): Contestant[] {
  const contestant = (name: string, reads: string, timesReading: boolean): Contestant => ({
    name,
    product: 'javascript',
    threads: 1,
    reads,
    forms: ['topic'],
    async start(place) {
      const db = await open(place.path('topic'))
      return {
        run: watch => runLoop(db, job, place, watch, timesReading),
        answer: result => job.answer(result as never),
        close: () => db.close(),
      }
    },
  })
  return [
    contestant('javascript objects', 'objects in memory', false),
    contestant('javascript topic', 'topic, msgpack, by topic.consume', true),
  ]
}

async function runLoop<T, S>(
  db: Database,
  job: JavascriptJob<T, S>,
  place: Place,
  watch: Stopwatch,
  timesReading: boolean,
): Promise<unknown> {
  const state = job.initial()
  if (!timesReading) watch.pause()
  for (const [i, name] of job.topics.entries()) {
    const consumer = db.topic<T>(name).consume({ from: 'earliest', until: 'end' })
    let rows: T[] = []
    const handOn = (): void => {
      watch.resume()
      job.loop(rows, state, i)
      if (!timesReading) watch.pause()
      rows = []
    }
    for await (const { records } of consumer) {
      for (const { value } of records) rows.push(value as T)
      if (rows.length >= rowsAtATime) handOn()
    }
    handOn()
  }
  watch.resume()
  return job.finish(state, place)
}

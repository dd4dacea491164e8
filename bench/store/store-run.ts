/**
 * One run of one workload on one engine: data, folder, stopwatch, and the steps that workloads share.
 *
 * Used by `run-workload.ts`, which makes one, calls the workload's body and asks for the sample. The time of single operations is taken for some
 * of them only where they are as short as taking the time.
 */

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { Window } from '../logs/workloads/database.ts'
import { Measurement, nextTurn, type Work } from '../measurement.ts'
import { expectEqual } from '../workload.ts'
import { Sink, StoreData, type Value } from './data.ts'
import { diskUse } from './disk.ts'
import type { OpenStore, StoreEngine, WriteMode } from './engine.ts'
import { rawBytes, type StoreParameters } from './parameters.ts'
import type { StoreSample } from './workload.ts'

/** What happens to the keys of a write. */
export type Change = 'put' | 'overwrite' | 'delete'

const quietMs = 300
const quietStepMs = 50
/** Of fewer keys nothing is measured that a little work behind could disturb: tests have so few. */
const fewKeys = 10_000
/** A process that uses less than this part of a processor does nothing worth waiting for. */
const quietShare = 0.1
const quietMsMax = 10 * 60_000

export class StoreRun {
  readonly engine: StoreEngine
  readonly parameters: StoreParameters
  readonly data: StoreData
  readonly measurement: Measurement
  /** Set by workloads that write beside the point. */
  puts = 0
  readonly #writes: WriteMode
  readonly #putLatencies: RecordableHistogram = createHistogram()
  #discountMs = 0

  constructor(engine: StoreEngine, parameters: StoreParameters, folder: string, writes: WriteMode) {
    this.engine = engine
    this.parameters = parameters
    this.data = new StoreData(parameters)
    this.measurement = new Measurement(folder)
    this.#writes = writes
  }

  open(budgetBytes?: number): Promise<OpenStore> {
    const { values, keyBytes, valueBytes } = this.parameters
    return this.engine.open(this.measurement.folder, {
      values,
      writes: this.#writes,
      entryBytes: keyBytes + valueBytes,
      ...(budgetBytes !== undefined && { budgetBytes }),
    })
  }

  /** Runs the part that counts. `operations` of `bytes` each; by default, of a key and a value. */
  measure(body: () => Promise<number>, bytes: number = this.parameters.keyBytes + this.parameters.valueBytes): Promise<void> {
    return this.measurement.measure(async (): Promise<Work> => {
      const operations = await body()
      return { operations, payloadBytes: operations * bytes }
    })
  }

  /** Records the latency of a write that is not the point of the workload. */
  putEnd(begun: number): void {
    this.#putLatencies.record(Math.max(1, Math.round((performance.now() - begun) * 1e6)))
  }

  /** Writes `count` records, in batches, with some in flight; `indexAt` tells the key of each. */
  async writeAll(store: OpenStore, count: number, change: Change, indexAt: (i: number) => number): Promise<void> {
    const { measurement } = this
    const { batch, window: limit } = this.parameters
    const window = new Window(limit)
    for (let at = 0; at < count; at += batch) {
      const size = Math.min(batch, count - at)
      const write = this.makeBatch(size, change, i => indexAt(at + i))
      await window.room()
      const begun = measurement.begin()
      const written = store.write(write)
      if (written === undefined) {
        measurement.end(begun)
        await nextTurn()
      } else window.add(written.then(() => measurement.end(begun)))
    }
    await window.all()
  }

  makeBatch(
    count: number,
    change: Change,
    indexAt: (i: number) => number,
  ): { readonly count: number; readonly keys: string[]; readonly values?: Value[] } {
    const { data } = this
    const keys: string[] = new Array(count)
    if (change === 'delete') {
      for (let i = 0; i < count; i++) keys[i] = data.key(indexAt(i))
      return { count, keys }
    }
    const values: Value[] = new Array(count)
    for (let i = 0; i < count; i++) {
      const index = indexAt(i)
      keys[i] = data.key(index)
      values[i] = change === 'overwrite' ? data.nextValue(index) : data.value(index)
    }
    return { count, keys, values }
  }

  /** The store holds every key with its newest value, and nothing else. */
  async expectAll(store: OpenStore): Promise<void> {
    const sink = new Sink()
    await store.scanBatches({}, sink)
    sink.expect('everything', this.parameters.n, this.data.expectedSums())
    const random = this.data.random(99)
    for (let i = 0; i < 100; i++) {
      const index = random.below(this.parameters.n)
      this.data.check(await store.get(this.data.key(index)), index)
    }
  }

  async expectCount(store: OpenStore, count: number): Promise<void> {
    const sink = new Sink()
    await store.scanBatches({}, sink)
    expectEqual('entries', sink.count, count)
  }

  /** Waits until the engine works off nothing in the background; the time of watching it idle does not count. */
  async settle(store: OpenStore): Promise<void> {
    await store.flush()
    const begun = performance.now()
    let quietSince = begun
    const enoughMs = this.parameters.n < fewKeys ? quietStepMs : quietMs
    for (let now = begun; now - quietSince < enoughMs; ) {
      const before = process.cpuUsage()
      const stepBegun = now
      await setTimeout(quietStepMs)
      now = performance.now()
      const { user, system } = process.cpuUsage(before)
      if ((user + system) / 1000 > (now - stepBegun) * quietShare) quietSince = now
      if (now - begun > quietMsMax) throw new Error(`${this.engine.name} still works ${quietMsMax / 1000} s after the last write`)
    }
    this.discount(performance.now() - quietSince)
  }

  /** Takes time that is not the point off what was measured. */
  discount(ms: number): void {
    this.#discountMs += ms
  }

  /** To be called when everything is closed. */
  sample(): StoreSample {
    const sample = this.measurement.sample()
    const elapsedMs = Math.max(0.001, sample.elapsedMs - this.#discountMs)
    const { dataBytes, logBytes } = diskUse(this.measurement.folder, this.engine.isLog)
    const latencies = this.#putLatencies
    return {
      ...sample,
      elapsedMs,
      ...(this.puts > 0 && { putsPerSecond: (this.puts / elapsedMs) * 1000 }),
      ...(latencies.count > 0 && {
        putP50Us: latencies.percentile(50) / 1000,
        putP99Us: latencies.percentile(99) / 1000,
        putMaxUs: latencies.max / 1000,
      }),
      diskBytes: dataBytes,
      diskLogBytes: logBytes,
      rawBytes: rawBytes(this.parameters),
    }
  }
}

/**
 * Ranges of keys for tasks that merge sorted outputs, about equally many rows each. What they are chosen by are keys of all runs at equal distances, each standing for the rows around it, which
 * were noted when the runs were written; nothing has to be read. Rows that agree in what they may be divided by come into one range, however many they are.
 */
import { compareSortKeys } from '../sort/sort-key.ts'
import type { ExchangeOutput, PackedKeys, RunOutput, StoredBlock } from './exchange.ts'

/** Keys from `from` on and below `to`; undefined: no bound. Bounds are compared with as much of a key as they have. */
export interface KeyRange {
  readonly from: Uint8Array | undefined
  readonly to: Uint8Array | undefined
}

/** What a task merges: of each run the blocks with rows in the range. Structured-clonable. */
export interface MergeInput extends KeyRange {
  readonly runs: readonly MergeRun[]
  /** Bytes that all keys begin with. */
  readonly common: number
}

export interface MergeRun {
  readonly file: string | undefined
  readonly blocks: readonly (StoredBlock | Uint8Array)[]
}

/** So many ranges at most, in order; the first and the last have one bound. */
export function keyRanges(outputs: readonly ExchangeOutput[], count: number): KeyRange[] {
  const samples: { readonly keys: PackedKeys; readonly index: number; readonly rows: number }[] = []
  let total = 0
  for (const { samples: keys, sampleRows: rows } of outputs.flatMap(output => output.runs)) {
    for (let index = 0; index < keys.starts.length - 1; index++) samples.push({ keys, index, rows })
    total += rows * (keys.starts.length - 1)
  }
  samples.sort((a, b) => compareKeys(a.keys, a.index, b.keys, b.index))
  const bounds: Uint8Array[] = []
  let before = 0
  for (const { keys, index, rows } of samples) {
    if (bounds.length < count - 1 && before > 0 && before >= (total * (bounds.length + 1)) / count) {
      const key = keyAt(keys, index)
      const [least] = samples
      const last = bounds.at(-1) ?? keyAt((least as { keys: PackedKeys }).keys, (least as { index: number }).index)
      // Equal keys stay together.
      if (compareSortKeys(last, 0, last.length, key, 0, key.length) < 0) bounds.push(key.slice())
    }
    before += rows
  }
  return Array.from({ length: bounds.length + 1 }, (_, i) => ({ from: bounds[i - 1], to: bounds[i] }))
}

/** What of the outputs lies in a range. */
export function mergeInput(outputs: readonly ExchangeOutput[], { from, to }: KeyRange): MergeInput {
  const runs: MergeRun[] = []
  for (const { file, runs: own } of outputs) {
    for (const run of own) {
      const first = from === undefined ? 0 : Math.max(0, cutsBelow(run, from) - 1)
      const end = to === undefined ? run.blocks.length : cutsBelow(run, to)
      const blocks = run.blocks.slice(first, end)
      if (blocks.length > 0) runs.push({ file: blocks.some(block => !(block instanceof Uint8Array)) ? file : undefined, blocks })
    }
  }
  return { from, to, runs, common: commonBytes(outputs) }
}

/** How many blocks of the run begin below the bound. */
function cutsBelow(run: RunOutput, bound: Uint8Array): number {
  let [low, high] = [0, run.blocks.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const { bytes, starts } = run.cuts
    if (compareSortKeys(bytes, starts[middle] as number, starts[middle + 1] as number, bound, 0, bound.length) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** What the least and the greatest key have in common, all keys have. */
function commonBytes(outputs: readonly ExchangeOutput[]): number {
  const ends = outputs.flatMap(({ runs }) => runs.flatMap(({ cuts, blocks }) => [keyAt(cuts, 0), keyAt(cuts, blocks.length)]))
  ends.sort((a, b) => compareSortKeys(a, 0, a.length, b, 0, b.length))
  const [least, greatest] = [ends[0], ends.at(-1)]
  if (least === undefined || greatest === undefined) return 0
  const size = Math.min(least.length, greatest.length)
  let same = 0
  while (same < size && least[same] === greatest[same]) same++
  return same
}

function keyAt({ bytes, starts }: PackedKeys, index: number): Uint8Array {
  return bytes.subarray(starts[index], starts[index + 1])
}

function compareKeys(a: PackedKeys, i: number, b: PackedKeys, j: number): number {
  return compareSortKeys(
    a.bytes,
    a.starts[i] as number,
    a.starts[i + 1] as number,
    b.bytes,
    b.starts[j] as number,
    b.starts[j + 1] as number,
  )
}

/** What operators may use that keep rows or states: so much memory, and files beyond it. */
import type { Files } from '../../engine/index.ts'
import type { Meter } from './meter.ts'

export interface OperatorContext {
  /** Bytes that one operator keeps in memory, about. */
  readonly memoryBytesMax: number
  /** Bytes that rows of one key may take which an operator must have together, about. */
  readonly keyBytesMax: number
  /** How often the rows of an operator were divided by their keys already, each time by other bits of the hash (`key-spill.ts`). Default 0. */
  readonly spillLevel?: number
  /** Rows that come in, as far as it is known. */
  readonly rowsExpected?: number | undefined
  readonly files: Files
  /** A path for a new file, which is removed with the run. */
  spillPath(): string
  /** Adds to a counter of the run. */
  count(name: string, by: number): void
  /** Undefined: nobody measures. */
  readonly meter?: Meter | undefined
  /** Called when the run or task is over, however it ended: to close files. */
  onEnd(close: () => void): void
}
